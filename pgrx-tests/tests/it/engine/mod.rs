//! The engine, by what is true of any plan: each test takes the built-in one, the one of `docs/own-plan.md` for a database
//! that has nothing to do with bets, and one whose every name must be quoted.

mod drift;
mod life;
mod worlds;
