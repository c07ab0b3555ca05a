//! The contract kit: what a connector must prove. See its table of lines.
