//! Products, categories and pictures. Each kind has its record with pure rules (`product`, `category`) and its rows.

pub mod category;
pub mod category_rows;
pub mod picture_rows;
pub mod product;
pub mod product_rows;
pub mod text;
