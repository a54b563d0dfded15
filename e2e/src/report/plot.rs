//! Line charts as inline SVG, by hand: axes, lines with an area behind them, dots, thresholds and marks.
//! Colours are CSS variables of the page, so that a chart is readable on light and dark ground.

use std::fmt::Write;

/// The chart's own units; the page scales it to its column.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
/// Room for the axes' labels and, on the right, for the lines' names.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 112.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 40.0;
/// Room above the highest value for the marks' texts.
const MARKS: f64 = 22.0;
/// The least distance between the names of two lines.
const NAME_HEIGHT: f64 = 16.0;

/// How values become heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// From 0 up to this.
    Linear(f64),
    /// Powers of ten, from and up to these.
    Log(f64, f64),
}

/// One line.
pub(super) struct Line {
    /// Its name, written at its end.
    pub(super) name: String,
    /// The CSS class that colours it.
    pub(super) class: &'static str,
    /// Points in the order of x: x, y, and the upper edge of the area above it.
    pub(super) points: Vec<(f64, f64, f64)>,
}

/// A place on the x axis worth naming.
pub(super) struct Mark {
    /// Where.
    pub(super) x: f64,
    /// What happened.
    pub(super) text: String,
    /// The CSS class that colours it.
    pub(super) class: &'static str,
}

/// A chart.
pub(super) struct Chart {
    /// What it shows, for those who cannot see it.
    pub(super) label: String,
    /// The first and the last on the x axis.
    pub(super) across: (f64, f64),
    /// What is on the x axis.
    pub(super) axis: &'static str,
    /// How values become heights.
    pub(super) scale: Scale,
    /// How a value on the y axis is written.
    pub(super) written: fn(f64) -> String,
    /// A level to compare with, and its name.
    pub(super) level: Option<(f64, String)>,
    /// The lines.
    pub(super) lines: Vec<Line>,
    /// Single values, as dots.
    pub(super) dots: Vec<(f64, f64)>,
    /// The marks.
    pub(super) marks: Vec<Mark>,
}

impl Chart {
    /// The chart as an SVG element.
    pub(super) fn svg(&self) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&self.label)
        );
        self.draw_axes(&mut svg);
        self.draw_level(&mut svg);
        self.draw_marks(&mut svg);
        for line in &self.lines {
            self.draw_line(&mut svg, line);
        }
        self.draw_dots(&mut svg);
        self.draw_names(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    fn x(&self, place: f64) -> f64 {
        let (first, last) = self.across;
        let share = (place - first) / (last - first).max(1.0);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear(most) => value / most.max(1.0),
            Scale::Log(least, most) => (value.max(least) / least).log10() / (most / least).log10(),
        };
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - MARKS - BOTTOM)
    }

    fn draw_axes(&self, svg: &mut String) {
        let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for value in self.levels() {
            let y = self.y(value);
            let text = (self.written)(value);
            let class = if value == 0.0 { "axis" } else { "grid" };
            draw(
                svg,
                format_args!(
                    "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>\n",
                    LEFT - 8.0,
                    y + 4.0
                ),
            );
        }
        let (first, last) = self.across;
        for place in multiples(step(last - first, 7.0), first, last) {
            let x = self.x(place);
            draw(
                svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{floor}\" y2=\"{:.1}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{place:.0}</text>\n",
                    floor + 4.0,
                    floor + 18.0
                ),
            );
        }
        draw(
            svg,
            format_args!(
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
                f64::midpoint(LEFT, right),
                HEIGHT - 4.0,
                escape(self.axis)
            ),
        );
    }

    fn levels(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear(most) => multiples(step(most, 5.0), 0.0, most),
            Scale::Log(least, most) => {
                let mut levels = vec![least];
                while let Some(last) = levels.last().filter(|last| **last * 9.9 < most) {
                    levels.push(last * 10.0);
                }
                levels
            }
        }
    }

    fn draw_level(&self, svg: &mut String) {
        let Some((value, name)) = &self.level else {
            return;
        };
        let y = self.y(*value);
        draw(
            svg,
            format_args!(
                "<line class=\"level\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                WIDTH - RIGHT,
                LEFT + 6.0,
                y - 5.0,
                escape(name)
            ),
        );
    }

    /// Each mark's text stands beside it, to the side where there is more room, one below the other.
    fn draw_marks(&self, svg: &mut String) {
        for (number, mark) in self.marks.iter().enumerate() {
            let x = self.x(mark.x);
            let to_the_left = x > f64::midpoint(LEFT, WIDTH - RIGHT);
            let (beside, anchor) = if to_the_left {
                (x - 6.0, "end")
            } else {
                (x + 6.0, "start")
            };
            draw(
                svg,
                format_args!(
                    "<g class=\"{}\"><line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" \
                 y2=\"{:.1}\"/><text class=\"note\" x=\"{beside:.1}\" y=\"{:.1}\" \
                 text-anchor=\"{anchor}\">{}</text></g>\n",
                    mark.class,
                    HEIGHT - BOTTOM,
                    NAME_HEIGHT.mul_add(number as f64, TOP + 10.0),
                    escape(&mark.text)
                ),
            );
        }
    }

    fn draw_line(&self, svg: &mut String, line: &Line) {
        let path = |points: &mut dyn Iterator<Item = (f64, f64)>| {
            points.fold(String::new(), |mut path, (x, y)| {
                let separator = if path.is_empty() { "" } else { " " };
                draw(
                    &mut path,
                    format_args!("{separator}{:.1},{:.1}", self.x(x), self.y(y)),
                );
                path
            })
        };
        let lower = path(&mut line.points.iter().map(|(x, y, _)| (*x, *y)));
        if line.points.iter().any(|(_, y, upper)| upper > y) {
            let upper = path(&mut line.points.iter().rev().map(|(x, _, upper)| (*x, *upper)));
            draw(
                svg,
                format_args!(
                    "<polygon class=\"area {}\" points=\"{lower} {upper}\"/>\n",
                    line.class
                ),
            );
        }
        draw(
            svg,
            format_args!(
                "<polyline class=\"line {}\" points=\"{lower}\"/>\n",
                line.class
            ),
        );
    }

    fn draw_dots(&self, svg: &mut String) {
        for (x, y) in &self.dots {
            let (x, y) = (self.x(*x), self.y(*y));
            draw(
                svg,
                format_args!("<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\n"),
            );
        }
    }

    /// Names at the lines' ends, moved apart where they would meet.
    fn draw_names(&self, svg: &mut String) {
        let mut ends: Vec<(f64, f64, &Line)> = self
            .lines
            .iter()
            .filter_map(|line| {
                let (x, y, _) = line.points.last()?;
                Some((self.y(*y) + 4.0, self.x(*x) + 6.0, line))
            })
            .collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut free_from = f64::MIN;
        for (y, x, line) in ends {
            let y = y.max(free_from);
            free_from = y + NAME_HEIGHT;
            draw(
                svg,
                format_args!(
                    "<text class=\"name {}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n",
                    line.class,
                    escape(&line.name)
                ),
            );
        }
    }
}

fn draw(svg: &mut String, shape: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    svg.write_fmt(shape).ok();
}

/// A step of 1, 2 or 5 times a power of ten that makes about `count` steps of `span`.
fn step(span: f64, count: f64) -> f64 {
    let rough = (span / count).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = rough / power;
    let nice = [1.0, 2.0, 5.0].into_iter().find(|nice| factor <= *nice);
    power * nice.unwrap_or(10.0)
}

fn multiples(step: f64, first: f64, last: f64) -> Vec<f64> {
    let mut multiples = Vec::new();
    let mut value = (first / step).ceil() * step;
    while value <= last + step * 1e-6 {
        // Negative zero would be written as such.
        multiples.push(value + 0.0);
        value += step;
    }
    multiples
}

/// Text as it may stand in XML, quotes included.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale, lines: Vec<Line>) -> Chart {
        Chart {
            label: "a <test>".to_owned(),
            across: (-10.0, 60.0),
            axis: "seconds",
            scale,
            written: |value| value.to_string(),
            level: Some((100.0, "too \"slow\"".to_owned())),
            lines,
            dots: vec![],
            marks: vec![],
        }
    }

    fn line(name: &str, points: &[(f64, f64)]) -> Line {
        Line {
            name: name.to_owned(),
            class: "with",
            points: points.iter().map(|&(x, y)| (x, y, y)).collect(),
        }
    }

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!(
            multiples(step(200.0, 5.0), 0.0, 200.0),
            [0.0, 50.0, 100.0, 150.0, 200.0]
        );
        assert_eq!(multiples(step(70.0, 7.0), -10.0, 60.0).len(), 8);
        let log = chart(Scale::Log(1.0, 10_000.0), vec![]);
        assert_eq!(log.levels(), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
    }

    #[test]
    fn a_power_of_ten_is_as_far_as_the_next_on_a_log_scale() {
        let log = chart(Scale::Log(1.0, 10_000.0), vec![]);
        let steps = [log.y(1.0) - log.y(10.0), log.y(10.0) - log.y(100.0)];
        assert!(
            (steps[0] - steps[1]).abs() < 1e-9 && steps[0] > 10.0,
            "{steps:?}"
        );
        assert!(
            (log.y(0.0) - log.y(1.0)).abs() < 1e-9,
            "what is below the scale is at its floor"
        );
        assert!(
            (log.y(1e9) - TOP - MARKS).abs() < 1e-9,
            "what is above it is at its top"
        );
    }

    #[test]
    fn names_that_would_meet_are_moved_apart() {
        let lines = vec![line("one", &[(60.0, 100.0)]), line("two", &[(60.0, 101.0)])];
        let svg = chart(Scale::Linear(200.0), lines).svg();
        let heights: Vec<f64> = svg
            .lines()
            .filter(|line| line.contains("class=\"name"))
            .filter_map(|line| line.split("y=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert!(
            (heights[0] - heights[1]).abs() >= NAME_HEIGHT - 0.1,
            "{heights:?}"
        );
    }

    #[test]
    fn foreign_text_cannot_break_out() {
        let svg = chart(Scale::Linear(200.0), vec![line("<b>&\"", &[(0.0, 1.0)])]).svg();
        assert!(svg.contains("a &lt;test&gt;") && svg.contains("too &quot;slow&quot;"));
        assert!(svg.contains("&lt;b&gt;&amp;&quot;") && !svg.contains("<b>"));
    }
}
