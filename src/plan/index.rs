//! `index` and `expression_index`: built at once where the relation is small, else concurrently by a job.

use super::{Context, JobRequest, Work};
use crate::catalog::{self, Build};
use crate::error::Result;
use crate::sql::{qualified, quote_identifier};
use groundskeeper_core::job::Task;
use groundskeeper_core::plan::decide::{self, State, Verdict};
use groundskeeper_core::plan::{Index, IndexKeys, Item, Qualified};

/// How an index stands.
pub fn look_at(item: &'static Item, index: &Index, context: &Context) -> Result<(Verdict, Option<Work>)> {
    let keys = match index.key_source() {
        IndexKeys::Listed(keys) => keys.to_vec(),
        IndexKeys::ForeignKeyTo(referenced) => {
            let columns = catalog::foreign_key_columns(&item.relation, referenced)?;
            if columns.is_empty() {
                let reason = format!("{} has no foreign key to {referenced}", item.relation);
                return Ok((Verdict::because(State::NotApplicable, reason), None));
            }
            columns.iter().map(quote_identifier).collect()
        }
    };
    let quoted = qualified(&item.relation.schema, &item.relation.name);
    let wanted = catalog::Index {
        name: &index.name,
        relation: &quoted,
        keys: &keys,
        predicate: index.predicate.as_deref(),
        unique: index.unique,
    };
    let Some(relation) = catalog::relation(&item.relation)? else {
        let made_first = context.to_be_made.contains(&item.relation);
        debug_assert!(made_first);
        return Ok((Verdict::plain(State::Pending), Some(work(item, &wanted, false))));
    };
    let found = catalog::indexes(relation.oid, &wanted)?;
    let taken = catalog::name_taken_by(&item.relation.schema, &index.name, relation.oid)?;
    let verdict = decide::index(&index.name, index.prefix_will_do(), &found, taken.as_deref());
    if verdict.state != State::Pending {
        return Ok((verdict, None));
    }
    let leftover = found.iter().any(|i| i.name == index.name);
    let mut work = work(item, &wanted, leftover);
    work.bytes = catalog::relation_bytes(relation.oid)?;
    Ok((verdict, Some(work)))
}

fn work(item: &Item, wanted: &catalog::Index, leftover: bool) -> Work {
    let name = Qualified { schema: item.relation.schema.clone(), name: wanted.name.to_owned() };
    let drop = format!("DROP INDEX {}", qualified(&name.schema, &name.name));
    let build = catalog::index_statement(wanted, Build::Plain);
    Work {
        inline: if leftover { vec![drop.clone(), build] } else { vec![build] },
        job: Some(JobRequest {
            item: Some(item.id()),
            relation: item.relation.clone(),
            task: Task::CreateIndex {
                index: name,
                table: item.relation.clone(),
                keys: wanted.keys.to_vec(),
                predicate: wanted.predicate.map(str::to_owned),
                unique: wanted.unique,
            },
        }),
        inverse: vec![drop],
        ..Work::default()
    }
}
