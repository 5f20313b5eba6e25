//! The plan: looked at before it is applied, extended by its users, followed when what it made is changed.

mod columns;
mod drift;
mod fast;
mod first_look;
mod migration;
mod own;
mod own_hands;
mod own_rights;
mod unfit;
