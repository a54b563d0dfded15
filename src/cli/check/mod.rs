//! `kubectl weir check`: everything that can be wrong with an installation, each with what to do.
//!
//! Facts (`facts`) are asked for at once (`gather`), as far as the chosen checks need them, compared with what
//! ships (`manifest`), and each check is a function of them (`list`, where another one is added). It changes
//! nothing: what it creates, it creates by dry run.

mod facts;
mod gather;
mod list;
mod manifest;
#[cfg(test)]
pub(super) mod tests;

use clap::Args;
use weir_core::time::Span;

use self::{
    facts::Facts,
    gather::{Place, gather},
    list::{Check, checks},
};
use super::{
    FINE, Outcome, TROUBLE,
    connect::{ClusterArgs, VERSION, WeirArgs},
    error::CliError,
    output::{Output, Shown, columns, show},
};
use crate::{
    client::{Allowance, Budget},
    view::check::{Category, Checked, Checks, Level, render},
};

/// Where checks are described.
const DOCS: &str = "https://github.com/weir-dev/weir/blob/main/docs/reference/checks.md";

/// Checks the cluster and the installation, and says of whatever is wrong what to do
///
/// Asks a hundred small questions, once, and changes nothing; with --only what these checks need. Exits with 1
/// if anything is wrong or could not be found out.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckArgs {
    /// Only whether Weir can be installed here
    #[arg(long)]
    pre: bool,
    /// Only these categories, or checks by their ids
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    weir: WeirArgs,
    /// The ServiceAccount that Weir runs as [default: that of its Deployment, or else weir]
    #[arg(long, value_name = "NAME")]
    weir_account: Option<String>,
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// What a check of a whole installation asks at once.
const fn budget() -> Budget {
    let much = Allowance {
        per_second: 50.0,
        burst: 100.0,
        wait: Span::from_secs(8),
    };
    Budget {
        reads: much,
        writes: much,
        ..Budget::standard()
    }
}

/// Asks, checks and renders.
pub(super) async fn check(cluster: &ClusterArgs, args: &CheckArgs) -> Result<Outcome, CliError> {
    let connection = cluster.connect_within(budget()).await?;
    // Whoever cannot be asked this cannot be asked anything.
    let answer = connection.client.apiserver_version().await;
    match answer {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code != 401 => {}
        Err(error) => return Err(connection.unanswered(error, VERSION)),
    }
    let all = checks();
    let chosen = chosen(&all, args)?;
    let rights = list::rights();
    let parts = chosen.iter().flat_map(|check| check.needs()).copied();
    let at = Place {
        weir: &args.weir,
        account: args.weir_account.as_deref(),
    };
    let facts = gather(&connection, &at, &rights, &parts.collect()).await;
    let checks = examined(&chosen, &facts);
    Ok(Outcome {
        code: if checks.success { FINE } else { TROUBLE },
        text: show(&checks, args.output)?,
    })
}

/// The checks that are asked for.
fn chosen<'a>(all: &'a [Check], args: &CheckArgs) -> Result<Vec<&'a Check>, CliError> {
    let is =
        |check: &Check, name: &str| check.id == name || check.category.eq_ignore_ascii_case(name);
    let unknown = args
        .only
        .iter()
        .find(|name| !all.iter().any(|one| is(one, name)));
    if let Some(name) = unknown {
        return Err(CliError::NoCheck { name: name.clone() });
    }
    let part = |check: &&Check| check.pre || !args.pre;
    // What is named and not looked at would be told as fine.
    let left_out = args
        .only
        .iter()
        .find(|name| !all.iter().filter(part).any(|one| is(one, name)));
    if let Some(name) = left_out {
        return Err(CliError::NotPre { name: name.clone() });
    }
    let chosen = all
        .iter()
        .filter(part)
        .filter(|check| args.only.is_empty() || args.only.iter().any(|name| is(check, name)));
    Ok(chosen.collect())
}

fn examined(checks: &[&Check], facts: &Facts) -> Checks {
    let mut categories: Vec<Category> = Vec::new();
    for check in checks {
        let (result, said) = match check.run(facts) {
            Ok(said) => (Level::Fine, said),
            Err(ended) => ended,
        };
        let is_well = matches!(result, Level::Fine | Level::Skipped);
        let checked = Checked {
            id: check.id.clone(),
            description: check.title.clone(),
            result,
            said: Some(said).filter(|said| !said.is_empty()),
            hint: (!is_well).then(|| check.hint.to_owned()),
            docs: format!("{DOCS}#{}", check.id),
        };
        match categories.iter_mut().find(|one| one.name == check.category) {
            Some(category) => category.checks.push(checked),
            None => categories.push(Category {
                name: check.category.to_owned(),
                checks: vec![checked],
            }),
        }
    }
    Checks::of(categories)
}

impl Shown for Checks {
    fn text(&self, wide: bool) -> String {
        render(self, columns(), wide)
    }

    /// The ids of what is not as it should be.
    fn names(&self) -> Vec<String> {
        let all = self.categories.iter().flat_map(|one| &one.checks);
        all.filter(|one| !matches!(one.result, Level::Fine | Level::Skipped))
            .map(|one| one.id.clone())
            .collect()
    }
}

/// The page that describes all checks.
#[must_use]
pub fn page() -> String {
    let mut page = "<!-- Generated by `make generate`; do not edit. -->\n\n# Checks\n\n\
        What `kubectl weir check` looks at, by the ids that its output and `-o json` carry. Each id stays what \
        it is. `--pre` asks only whether Weir can be installed; `--only` takes ids and categories. What could \
        not be found out is not fine: the exit code is then 1, as for whatever is wrong.\n"
        .to_owned();
    let mut category = "";
    for check in checks() {
        if category != check.category {
            category = check.category;
            page.extend([format!("\n## {category}\n")]);
        }
        let pre = if check.pre { " Part of `--pre`." } else { "" };
        page.extend([format!(
            "\n### {}\n\n*{}.* {}{pre}\n\nWhat to do: {}.\n",
            check.id, check.title, check.about, check.hint
        )]);
    }
    page
}
