//! The ledger against STOCK.md.
