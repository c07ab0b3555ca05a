//! How many members go into one body: as many as its bytes allow.

/// Cuts `members` into runs whose bodies stay below `bytes_max`; a member that is larger alone goes alone.
pub(crate) fn portions<T>(
    members: Vec<T>,
    bytes: impl Fn(&T) -> usize,
    bytes_max: usize,
) -> Vec<Vec<T>> {
    let mut portions: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for member in members {
        // A comma stands between two members.
        let size = bytes(&member) + 1;
        match portions.last_mut() {
            Some(last) if size <= room => {
                room -= size;
                last.push(member);
            }
            _ => {
                room = bytes_max.saturating_sub(size);
                portions.push(vec![member]);
            }
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stay_in_order_and_below_the_bound() {
        let cut = portions(vec![3, 3, 3, 20, 1], |n| *n, 8);
        assert_eq!(cut, [vec![3, 3], vec![3], vec![20], vec![1]]);
    }

    #[test]
    fn nothing_is_no_call() {
        assert!(portions(Vec::<u8>::new(), |_| 1, 8).is_empty());
    }
}
