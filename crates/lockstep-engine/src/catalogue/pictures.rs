//! A picture is known by its link, not by its bytes: a shop may make other bytes of what it is given. Which of a shop's
//! pictures is the one that we gave it is found once, by what was not there before, and kept by the shop's own id.

use lockstep_model::cases::AtShop;
use lockstep_model::entry::What;
use lockstep_model::{Field, Fields, Parts, Path, Value};

/// A picture as a shop shows it: the name by which it goes, and its text.
pub struct Shown<'a> {
    pub name: &'a str,
    pub alt: &'a str,
}

/// Which of these is the picture that was given. `None`: it bears its own name, or it is not there.
pub fn given<'a>(what: &What, shown: &[Shown<'a>]) -> Option<&'a str> {
    let What::AddPicture {
        digest,
        alt,
        beside,
    } = what
    else {
        return None;
    };
    if shown.iter().any(|picture| picture.name == digest) {
        return None;
    }
    let is_new = |picture: &&Shown<'a>| !beside.iter().any(|known| known == picture.name);
    let new: Vec<&Shown<'a>> = shown.iter().filter(is_new).collect();
    // Somebody may have added one there meanwhile.
    let alike = new.iter().find(|picture| picture.alt == alt);
    let found = alike.or(new.first());
    found.map(|picture| picture.name)
}

/// A reading in which a picture of ours, given by a write that nobody answered, bears another name: under ours.
pub(super) fn named(
    there: Option<&AtShop>,
    fields: &Fields,
    parts: &Parts,
) -> Option<(Fields, Parts)> {
    let path = Path::new(&Field::Pictures);
    let names = fields.get(&path)?.as_list();
    let shown: Vec<Shown<'_>> = names
        .iter()
        .map(|name| Shown {
            name,
            alt: parts
                .pictures
                .get(name)
                .map_or("", |part| part.alt.as_str()),
        })
        .collect();
    let mut open = there?.open.iter();
    let (what, found) =
        open.find_map(|intent| Some((&intent.what, given(&intent.what, &shown)?)))?;
    let What::AddPicture { digest, .. } = what else {
        return None;
    };
    let ours = |name: &String| match name == found {
        true => digest.clone(),
        false => name.clone(),
    };
    let mut fields = fields.clone();
    fields.insert(path, Value::list(names.iter().map(ours)));
    let pictures = parts.pictures.iter();
    let pictures = pictures.map(|(name, part)| (ours(name), part.clone()));
    let parts = Parts {
        pictures: pictures.collect(),
        ..parts.clone()
    };
    Some((fields, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(beside: &[&str], shown: &[(&'static str, &'static str)]) -> Option<&'static str> {
        let what = What::AddPicture {
            digest: "ours".into(),
            alt: "a scarf".into(),
            beside: beside.iter().map(|name| (*name).to_owned()).collect(),
        };
        let shown: Vec<Shown<'static>> = shown
            .iter()
            .map(|(name, alt)| Shown { name, alt })
            .collect();
        given(&what, &shown)
    }

    #[test]
    fn a3_what_was_not_there_before_is_the_picture_that_was_given() {
        let shown = [("old", "a scarf"), ("other bytes", "")];
        assert_eq!(found(&["old"], &shown), Some("other bytes"));
        assert_eq!(found(&["old"], &shown[..1]), None, "it is not there");
        let told = [("old", ""), ("ours", "a scarf")];
        assert_eq!(found(&["old"], &told), None, "it bears its own name");
    }

    #[test]
    fn a3_of_two_that_came_meanwhile_it_is_the_one_with_its_text() {
        let shown = [("theirs", "by hand"), ("other bytes", "a scarf")];
        assert_eq!(found(&[], &shown), Some("other bytes"));
    }
}
