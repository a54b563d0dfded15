//! CPU of an API server against the number of pods, drawn with characters that every terminal has.
//!
//! ```text
//!  2.5 |                       *****...
//!    2 |=======K=======***============ capacity
//!      |  ..***
//!    0 +---------+---------+---------
//!      0        50       100      150
//! ```

mod axes;
#[cfg(test)]
mod tests;

use anstyle::{AnsiColor, Style};

use self::axes::{Across, cell, reach, ticks};
use crate::{
    api::{EstimateStatus, ForecastStatus, PointStatus, Resource, ResourceStatus},
    view::{
        figures::{figure, pods},
        style::{BAD, BUSY, FAINT, HEAD, WARN},
        wrap::wrapped,
    },
};

/// Lines of the plot, without its axis.
const ROWS: usize = 14;
/// Columns of the figures beside it, with the axis.
const MARGIN: usize = 10;

/// What a character of the plot stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Nothing,
    Band,
    Budget,
    Capacity,
    Fit,
    Point,
    Knee,
}

impl Ink {
    const fn drawn(self) -> (char, Style) {
        match self {
            Self::Nothing => (' ', Style::new()),
            Self::Band => ('.', FAINT),
            Self::Budget => ('-', WARN),
            Self::Capacity => ('=', BAD),
            Self::Fit => ('*', Style::new()),
            Self::Point => ('o', BUSY),
            Self::Knee => ('K', AnsiColor::Red.on_default().bold()),
        }
    }
}

/// CPU by pods, between what is used without any and what is forecast at full width.
struct Line<'a> {
    cpu: &'a ResourceStatus,
    full: f64,
}

/// How far a knee must lie off a straight line, as a share of the capacity: figures are rounded to
/// three digits, which makes a hundredth.
const BENT: f64 = 0.03;

impl Line<'_> {
    /// The line from what is used by no pods to full width; through the knee too, if it lies below the
    /// straight one: three points are all of a fit that bends. (Two are not: a knee near full width says
    /// nothing.)
    fn between(&self, pods: f64, [none, full]: [f64; 2], knee: Option<f64>) -> f64 {
        let none = self.cpu.base + none;
        let straight = |pods: f64| none + (full - none) * pods / self.full;
        let bend = self.cpu.capacity.zip(knee).map_or(0.0, |(cores, knee)| {
            let off = cores - straight(knee);
            let bend = off / (knee * (knee - self.full));
            if off.abs() > BENT * cores && bend.is_finite() {
                bend.max(0.0)
            } else {
                0.0
            }
        });
        (straight(pods) + bend * pods * (pods - self.full)).max(0.0)
    }

    fn low(&self, pods: f64) -> f64 {
        let knee = self.cpu.knee.and_then(|knee| knee.high);
        self.between(pods, [self.cpu.fixed.low, self.cpu.at_full.low], knee)
    }

    fn mid(&self, pods: f64) -> f64 {
        let knee = self.cpu.knee.map(|knee| knee.mid);
        self.between(pods, [self.cpu.fixed.mid, self.cpu.at_full.mid], knee)
    }

    /// Infinite where nothing bounds it.
    fn high(&self, pods: f64) -> f64 {
        let knee = self.cpu.knee.map(|knee| knee.low);
        match (self.cpu.fixed.high, self.cpu.at_full.high) {
            (Some(none), Some(full)) => self.between(pods, [none, full], knee),
            _ => f64::INFINITY,
        }
    }

    fn is_bent(&self) -> bool {
        let ends = self.mid(0.0) + self.mid(self.full);
        ends - 2.0 * self.mid(self.full / 2.0) > BENT * ends
    }
}

/// The plot and its legend; none without a forecast of CPU, or without anything that it rests on.
pub(super) fn render(told: &ForecastStatus, columns: usize) -> Option<Vec<String>> {
    let mut cpus = told.resources.iter();
    let cpu = cpus.find(|one| one.resource == Resource::Cpu)?;
    if told.full_width == 0 || told.points.is_empty() {
        return None;
    }
    let line = Line {
        cpu,
        full: f64::from(told.full_width),
    };
    let points = scaled(told, &line);
    let across = Across::of(told, cpu, columns.saturating_sub(MARGIN + 1));
    let limits = [cpu.capacity.map(|cores| cores * told.budget), cpu.capacity];
    let most = points.iter().map(|(_, cores)| *cores).fold(0.0, f64::max);
    let top = reach(line.mid(across.most), line.high(across.most), most, limits);
    let picture = Picture {
        line: &line,
        points: &points,
        across: &across,
        limits,
        top,
    };
    let mut lines = vec![format!(
        "{HEAD}CPU{HEAD:#}  cores of that API server, by pods out"
    )];
    lines.extend(picture.rows());
    lines.extend(axis(&across));
    lines.extend(legend(told, cpu, &picture, columns));
    Some(lines)
}

/// The points as the one API server's use. Only the total was kept: with several API servers it is
/// brought to the height of the line, so that it shows how far points stray, not how high they lie.
fn scaled(told: &ForecastStatus, line: &Line<'_>) -> Vec<(f64, f64)> {
    let weighed = |of: &dyn Fn(&PointStatus) -> f64| -> f64 {
        let all = told.points.iter();
        all.map(|point| f64::from(point.windows.max(1)) * of(point))
            .sum()
    };
    let seen = weighed(&|point| point.cpu_cores);
    let fitted = weighed(&|point| line.mid(f64::from(point.width)));
    let share = if told.servers > 1 && seen > 0.0 {
        fitted / seen
    } else {
        1.0
    };
    let points = told.points.iter();
    points
        .map(|point| (f64::from(point.width), point.cpu_cores * share))
        .collect()
}

struct Picture<'a> {
    line: &'a Line<'a>,
    points: &'a [(f64, f64)],
    across: &'a Across,
    /// Budget and capacity, in cores, where they are known.
    limits: [Option<f64>; 2],
    /// Cores at the upper edge.
    top: f64,
}

impl Picture<'_> {
    /// The row of so many cores, from the upper edge; none outside the plot.
    fn row(&self, cores: f64) -> Option<usize> {
        cell(1.0 - cores / self.top, ROWS)
    }

    fn is_shown(&self, limit: Option<f64>) -> bool {
        limit.is_some_and(|cores| self.row(cores).is_some())
    }

    fn ink(&self) -> Vec<Vec<Ink>> {
        let columns = self.across.columns;
        let mut grid = vec![vec![Ink::Nothing; columns]; ROWS];
        for column in 0..columns {
            let pods = self.across.pods(column);
            let lowest = self
                .row(self.line.low(pods).min(self.top))
                .unwrap_or(ROWS - 1);
            let highest = self.row(self.line.high(pods).min(self.top)).unwrap_or(0);
            for row in grid.iter_mut().take(lowest + 1).skip(highest) {
                row[column] = Ink::Band;
            }
            for (limit, ink) in self.limits.into_iter().zip([Ink::Budget, Ink::Capacity]) {
                if let Some(row) = limit.and_then(|cores| self.row(cores)) {
                    grid[row][column] = ink;
                }
            }
            if let Some(row) = self.row(self.line.mid(pods)) {
                grid[row][column] = Ink::Fit;
            }
        }
        for (pods, cores) in self.points {
            if let (Some(column), Some(row)) = (self.across.column(*pods), self.row(*cores)) {
                grid[row][column] = Ink::Point;
            }
        }
        if let Some((column, row)) = self.knee() {
            grid[row][column] = Ink::Knee;
        }
        grid
    }

    fn knee(&self) -> Option<(usize, usize)> {
        let knee = self.line.cpu.knee.as_ref()?;
        let capacity = self.line.cpu.capacity?;
        self.across.column(knee.mid).zip(self.row(capacity))
    }

    fn rows(&self) -> Vec<String> {
        let marks = [
            (Some(self.top), 2),
            (Some(0.0), 1),
            (self.limits[1], 3),
            (self.limits[0], 3),
        ];
        let marks: Vec<_> = marks
            .into_iter()
            .filter_map(|(cores, digits)| {
                let cores = cores?;
                Some((self.row(cores)?, figure(cores, digits)))
            })
            .collect();
        let rows = self.ink().into_iter().enumerate();
        rows.map(|(row, inks)| {
            // Of two figures for one line that of a limit says more than the edge's.
            let mark = marks.iter().rfind(|(at, _)| *at == row);
            let mark = mark.map_or("", |(_, cores)| cores.as_str());
            format!("{mark:>w$} |{}", painted(&inks), w = MARGIN - 2)
                .trim_end()
                .to_owned()
        })
        .collect()
    }
}

/// A row with its colours, which are set where they change.
fn painted(inks: &[Ink]) -> String {
    let used = inks.iter().rposition(|ink| *ink != Ink::Nothing);
    let inks = &inks[..used.map_or(0, |last| last + 1)];
    let runs = inks.chunk_by(|one, next| one == next).map(|same| {
        let (drawn, style) = same[0].drawn();
        let text = drawn.to_string().repeat(same.len());
        format!("{style}{text}{style:#}")
    });
    runs.collect::<Vec<_>>().concat()
}

fn axis(across: &Across) -> [String; 2] {
    let mut line = vec!['-'; across.columns];
    let mut figures = vec![' '; across.columns + MARGIN];
    let mut free = 0;
    for pods in ticks(across) {
        let Some(column) = across.column(pods) else {
            continue;
        };
        let text = figure(pods, 3);
        let start = column + 1 - text.len().div_ceil(2).min(column + 1);
        if start < free || start + text.len() > figures.len() {
            continue;
        }
        free = start + text.len() + 2;
        line[column] = '+';
        for (at, digit) in text.chars().enumerate() {
            figures[start + at] = digit;
        }
    }
    let indent = " ".repeat(MARGIN - 1);
    let line: String = line.into_iter().collect();
    let figures: String = figures.into_iter().collect();
    [
        format!("{indent}+{line}"),
        format!("{indent} {figures}").trim_end().to_owned(),
    ]
}

fn legend(
    told: &ForecastStatus,
    cpu: &ResourceStatus,
    picture: &Picture<'_>,
    columns: usize,
) -> Vec<String> {
    let [budget, capacity] = picture.limits;
    let limit = |name: &str, mark: char, cores: Option<f64>| {
        cores.map(|cores| {
            let cores_said = figure(cores, 3);
            if picture.is_shown(Some(cores)) {
                format!("{mark} {name} {cores_said}")
            } else {
                format!("{name} {cores_said} lies above the plot")
            }
        })
    };
    let knee = |knee: &EstimateStatus| {
        let said = pods(knee);
        match picture.knee() {
            Some(_) => format!("K knee at {said} pods"),
            None => format!("knee at {said} pods, outside the plot"),
        }
    };
    let measured = match told.servers {
        0 | 1 => "o measured",
        _ => "o measured (of all API servers, scaled to this one's part)",
    };
    let fit = if picture.line.is_bent() {
        "* fit, which bends"
    } else {
        "* fit"
    };
    let said = [
        Some(measured.to_owned()),
        Some(fit.to_owned()),
        Some(". its interval".to_owned()),
        limit("capacity", '=', capacity),
        limit("budget", '-', budget),
        cpu.knee.as_ref().map(knee),
        picture
            .across
            .is_log
            .then(|| "pods on a logarithmic scale".to_owned()),
    ];
    let said: Vec<_> = said.into_iter().flatten().collect();
    wrapped(&said.join(", "), columns, "  ", "  ")
}
