//! Drawings for products: a few plain shapes in the colour of the product, as SVG.

/// How many shapes there are.
pub const SHAPES: usize = 12;

/// A drawing of shape `shape` in `colour`.
pub fn draw(shape: usize, colour: &str) -> String {
    let figure = match shape % SHAPES {
        0 => garment(colour),
        1 => mug(colour),
        2 => lamp(colour),
        3 => block(colour),
        4 => boot(colour),
        5 => beanie(colour),
        6 => bag(colour),
        7 => bottle(colour),
        8 => tent(colour),
        9 => folded(colour),
        10 => pan(colour),
        _ => bowl(colour),
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 400 400\">\
         <rect width=\"400\" height=\"400\" fill=\"#f3efe8\"/>\
         <circle cx=\"200\" cy=\"205\" r=\"150\" fill=\"{colour}\" opacity=\".16\"/>\
         <ellipse cx=\"200\" cy=\"322\" rx=\"96\" ry=\"9\" fill=\"#2b2620\" opacity=\".10\"/>{figure}</svg>"
    )
}

fn garment(c: &str) -> String {
    format!(
        "<path d=\"M150 105 L95 140 L75 215 L112 226 L124 190 L124 310 L276 310 L276 190 L288 226 L325 215 L305 140 L250 105 Q200 142 150 105Z\" fill=\"{c}\"/>\
         <path d=\"M150 105 Q200 142 250 105 Q238 152 200 152 Q162 152 150 105Z\" fill=\"#000\" opacity=\".14\"/>\
         <rect x=\"124\" y=\"292\" width=\"152\" height=\"18\" fill=\"#000\" opacity=\".12\"/>"
    )
}

fn mug(c: &str) -> String {
    format!(
        "<path d=\"M268 170 q64 -4 60 52 q-4 52 -66 46\" fill=\"none\" stroke=\"{c}\" stroke-width=\"20\"/>\
         <path d=\"M112 135 H276 V268 Q276 315 230 315 H158 Q112 315 112 268Z\" fill=\"{c}\"/>\
         <ellipse cx=\"194\" cy=\"136\" rx=\"82\" ry=\"18\" fill=\"#000\" opacity=\".22\"/>\
         <rect x=\"112\" y=\"215\" width=\"164\" height=\"22\" fill=\"#fff\" opacity=\".28\"/>"
    )
}

fn lamp(c: &str) -> String {
    format!(
        "<rect x=\"193\" y=\"205\" width=\"14\" height=\"98\" fill=\"#8a7a63\"/>\
         <rect x=\"148\" y=\"300\" width=\"104\" height=\"16\" rx=\"8\" fill=\"#8a7a63\"/>\
         <path d=\"M152 95 H248 L296 208 H104Z\" fill=\"{c}\"/>\
         <path d=\"M104 208 H296 L318 262 H82Z\" fill=\"#ffd970\" opacity=\".35\"/>"
    )
}

fn block(c: &str) -> String {
    format!(
        "<rect x=\"112\" y=\"108\" width=\"176\" height=\"208\" rx=\"10\" fill=\"{c}\"/>\
         <rect x=\"112\" y=\"108\" width=\"34\" height=\"208\" rx=\"10\" fill=\"#000\" opacity=\".18\"/>\
         <rect x=\"170\" y=\"150\" width=\"92\" height=\"10\" rx=\"5\" fill=\"#fff\" opacity=\".6\"/>\
         <rect x=\"170\" y=\"174\" width=\"66\" height=\"10\" rx=\"5\" fill=\"#fff\" opacity=\".4\"/>"
    )
}

fn boot(c: &str) -> String {
    format!(
        "<path d=\"M132 98 H216 V222 Q290 232 300 286 V296 H132Z\" fill=\"{c}\"/>\
         <rect x=\"124\" y=\"294\" width=\"184\" height=\"24\" rx=\"8\" fill=\"#2b2620\" opacity=\".75\"/>\
         <rect x=\"132\" y=\"98\" width=\"84\" height=\"26\" fill=\"#fff\" opacity=\".3\"/>"
    )
}

fn beanie(c: &str) -> String {
    format!(
        "<circle cx=\"200\" cy=\"98\" r=\"26\" fill=\"#fff\"/><circle cx=\"200\" cy=\"98\" r=\"26\" fill=\"{c}\" opacity=\".45\"/>\
         <path d=\"M104 262 Q100 118 200 118 Q300 118 296 262Z\" fill=\"{c}\"/>\
         <rect x=\"92\" y=\"252\" width=\"216\" height=\"54\" rx=\"16\" fill=\"{c}\"/>\
         <rect x=\"92\" y=\"252\" width=\"216\" height=\"54\" rx=\"16\" fill=\"#000\" opacity=\".16\"/>"
    )
}

fn bag(c: &str) -> String {
    format!(
        "<path d=\"M158 140 Q158 82 200 82 Q242 82 242 140\" fill=\"none\" stroke=\"#2b2620\" stroke-width=\"12\" opacity=\".6\"/>\
         <rect x=\"108\" y=\"132\" width=\"184\" height=\"186\" rx=\"26\" fill=\"{c}\"/>\
         <rect x=\"134\" y=\"218\" width=\"132\" height=\"74\" rx=\"12\" fill=\"#000\" opacity=\".16\"/>\
         <rect x=\"184\" y=\"206\" width=\"32\" height=\"26\" rx=\"6\" fill=\"#fff\" opacity=\".5\"/>"
    )
}

fn bottle(c: &str) -> String {
    format!(
        "<rect x=\"174\" y=\"78\" width=\"52\" height=\"36\" rx=\"8\" fill=\"#2b2620\" opacity=\".7\"/>\
         <path d=\"M172 116 H228 V140 Q258 152 258 190 V296 Q258 318 236 318 H164 Q142 318 142 296 V190 Q142 152 172 140Z\" fill=\"{c}\"/>\
         <rect x=\"142\" y=\"210\" width=\"116\" height=\"58\" fill=\"#fff\" opacity=\".3\"/>"
    )
}

fn tent(c: &str) -> String {
    format!(
        "<path d=\"M200 96 L326 312 H74Z\" fill=\"{c}\"/><path d=\"M200 96 L326 312 H238Z\" fill=\"#000\" opacity=\".16\"/>\
         <path d=\"M200 150 L240 312 H160Z\" fill=\"#2b2620\" opacity=\".6\"/>"
    )
}

fn folded(c: &str) -> String {
    format!(
        "<rect x=\"96\" y=\"246\" width=\"208\" height=\"66\" rx=\"26\" fill=\"{c}\"/>\
         <rect x=\"104\" y=\"186\" width=\"192\" height=\"62\" rx=\"26\" fill=\"{c}\"/>\
         <rect x=\"104\" y=\"186\" width=\"192\" height=\"62\" rx=\"26\" fill=\"#fff\" opacity=\".28\"/>\
         <rect x=\"112\" y=\"130\" width=\"176\" height=\"58\" rx=\"26\" fill=\"{c}\"/>\
         <rect x=\"236\" y=\"130\" width=\"14\" height=\"58\" fill=\"#fff\" opacity=\".4\"/>"
    )
}

fn pan(c: &str) -> String {
    format!(
        "<rect x=\"262\" y=\"196\" width=\"104\" height=\"20\" rx=\"10\" fill=\"#2b2620\" opacity=\".7\"/>\
         <path d=\"M84 188 H276 V266 Q276 312 230 312 H130 Q84 312 84 266Z\" fill=\"{c}\"/>\
         <ellipse cx=\"180\" cy=\"188\" rx=\"96\" ry=\"20\" fill=\"#000\" opacity=\".25\"/>"
    )
}

fn bowl(c: &str) -> String {
    format!(
        "<path d=\"M84 186 H316 Q312 300 232 312 H168 Q88 300 84 186Z\" fill=\"{c}\"/>\
         <ellipse cx=\"200\" cy=\"187\" rx=\"116\" ry=\"24\" fill=\"#000\" opacity=\".2\"/>\
         <path d=\"M97 232 H303 Q300 246 294 258 H106 Q100 246 97 232Z\" fill=\"#fff\" opacity=\".25\"/>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_one_whole_drawing() {
        for shape in 0..SHAPES {
            let drawing = draw(shape, "#123456");
            assert!(drawing.starts_with("<svg") && drawing.ends_with("</svg>"));
            assert!(drawing.contains("#123456"));
        }
    }
}
