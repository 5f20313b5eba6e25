//! Client tests: every test in a database of its own.
//!
//! The modules say that they are tests for the lints' sake.

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod arguments;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod comments;
#[cfg(test)]
mod conflicts;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod conversion;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod dump;
#[cfg(test)]
mod encodings;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod exposition;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod install;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod kpi;
#[cfg(test)]
mod latency;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod migration;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod names;
#[cfg(test)]
mod odds;
#[cfg(test)]
mod partitions;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod precision;
#[cfg(test)]
mod quality;
#[cfg(test)]
mod queries;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod report;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod rollback;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod smoke;
#[cfg(test)]
mod statistics;
#[cfg(test)]
mod torture;
#[cfg(test)]
mod upgrade;
