//! What people and programs get: a table on stdout, `summary.json` as one flat object, and a chart of where CPU goes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::{
    Measured,
    cluster::{Run, Whole},
    custody::Custody,
    stages::Stages,
    sums::{self, Term},
};

/// Writes and prints everything that was measured.
pub(crate) fn write(folder: &Path, measured: &Measured) -> Result<()> {
    let (stages, whole) = (measured.stages.as_ref(), measured.whole.as_ref());
    fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
    if let Some(stages) = stages {
        print!("{}", stage_table(stages));
    }
    if let Some(whole) = whole {
        print!("{}", path_table(stages, whole));
    }
    if let Some(custody) = &measured.custody {
        print!("{}", custody_table(custody));
    }
    let summary = serde_json::to_string_pretty(&summary(measured))?;
    fs::write(folder.join("summary.json"), summary + "\n")?;
    if let (Some(stages), Some(whole)) = (stages, whole) {
        fs::write(folder.join("cpu.svg"), chart(&bars(stages, whole)))?;
    }
    println!("\nsummary.json is in {}", folder.display());
    Ok(())
}

/// A path, its measured run, and the terms of its sum of stages.
fn paths<'a>(stages: &Stages, whole: &'a Whole) -> [(&'static str, &'a Run, Vec<Term>); 3] {
    [
        ("ingest", &whole.ingest, sums::ingest(stages)),
        ("read", &whole.read, sums::read(stages)),
        ("degraded_read", &whole.degraded_read, sums::degraded_read(stages)),
    ]
}

fn stage_table(stages: &Stages) -> String {
    let mut table = format!("\n{:<26}{:>14}\n", "stage", "CPU-s/GiB");
    for (name, cost) in stages.named() {
        let _ = writeln!(table, "{name:<26}{cost:>14.3}");
    }
    let _ = writeln!(table, "{:<26}{:>14.0} MiB/s", "shard_append", stages.shard_append_mib_s);
    table
}

fn path_table(stages: Option<&Stages>, whole: &Whole) -> String {
    let mut table =
        format!("\n{:<28}{:>10}{:>12}{:>12}{:>10}{:>8}\n", "path", "MiB/s", "nodes", "client", "stages", "ratio");
    let sum_of = |name: &str| {
        let stages = stages?;
        paths(stages, whole).into_iter().find(|(_, run, _)| run.name == name).map(|(_, _, terms)| sums::total(&terms))
    };
    let Whole {
        ingest,
        ingest_many,
        ingest_many_by_four,
        seals,
        commits,
        read,
        degraded_read,
        ingest_large_by_four,
        node_rss_max_mib,
    } = whole;
    for run in [ingest, ingest_many, ingest_many_by_four, ingest_large_by_four, read, degraded_read] {
        let (nodes, client) = (run.nodes_cpu_s_per_gib(), run.client_cpu_s_per_gib());
        let _ = write!(table, "{:<28}{:>10.0}{nodes:>12.2}{client:>12.2}", run.name, run.mib_s());
        let _ = match sum_of(run.name) {
            Some(sum) => writeln!(table, "{sum:>10.2}{:>8.2}", nodes / sum),
            None => writeln!(table),
        };
    }
    table.push_str(&seals_line(seals));
    let (cpu, wall) = (commits.nodes_cpu_ms_per_item(), 1000.0 / commits.per_s());
    let _ =
        writeln!(table, "{:<28}{cpu:>10.2} CPU-ms of the nodes each, {wall:.2} ms until it is answered", "Raft commit");
    let _ = writeln!(table, "{:<28}{node_rss_max_mib:>10.0} MiB", "largest node in memory");
    table
}

/// Prints what small originals cost, where only they were measured.
pub(crate) fn print_seals(seals: &Run) {
    print!("{}", seals_line(seals));
}

fn seals_line(seals: &Run) -> String {
    let (nodes, client) = (seals.nodes_cpu_ms_per_item(), seals.client_cpu_ms_per_item());
    let per_s = seals.per_s();
    format!("{:<28}{per_s:>10.0} seals/s, {nodes:.2} CPU-ms of the nodes each, {client:.2} of the client\n", seals.name)
}

fn custody_table(custody: &Custody) -> String {
    let Custody { items, case_items, hold_in_force, explain_median, explain_p99 } = custody;
    let mut table = format!("\n{:<28}{items:>10}\n", "items in the catalogue");
    let ms = |took: &Duration| took.as_secs_f64() * 1000.0;
    let title = format!("hold on a case of {case_items}");
    let _ = writeln!(table, "{title:<28}{:>10.2} s until every node names it", hold_in_force.as_secs_f64());
    let (median, p99) = (ms(explain_median), ms(explain_p99));
    let _ = writeln!(table, "{:<28}{median:>10.2} ms, 99 of 100 within {p99:.2} ms", "item explain");
    table
}

fn summary(measured: &Measured) -> Value {
    let (stages, whole) = (measured.stages.as_ref(), measured.whole.as_ref());
    let mut flat = Map::new();
    let mut put = |key: String, value: f64| flat.insert(key, Value::from((value * 1000.0).round() / 1000.0));
    if let Some(stages) = stages {
        for (name, cost) in stages.named() {
            put(format!("stage_{name}_cpu_s_per_gib"), cost);
        }
        put("stage_shard_append_mib_s".to_owned(), stages.shard_append_mib_s);
    }
    if let Some(whole) = whole {
        put("ingest_many_mib_s".to_owned(), whole.ingest_many.mib_s());
        put("ingest_many_4_clients_mib_s".to_owned(), whole.ingest_many_by_four.mib_s());
        put("ingest_many_over_one_cpu".to_owned(), over(&whole.ingest_many, &whole.ingest));
        put("ingest_large_4_clients_mib_s".to_owned(), whole.ingest_large_by_four.mib_s());
        put("seal_per_s".to_owned(), whole.seals.per_s());
        put("seal_cpu_ms".to_owned(), whole.seals.nodes_cpu_ms_per_item());
        put("raft_commit_cpu_ms".to_owned(), whole.commits.nodes_cpu_ms_per_item());
        put("raft_commit_ms".to_owned(), 1000.0 / whole.commits.per_s());
        put("degraded_over_healthy_read_mib_s".to_owned(), whole.degraded_read.mib_s() / whole.read.mib_s());
        put("degraded_over_healthy_read_cpu".to_owned(), over(&whole.degraded_read, &whole.read));
        put("node_rss_max_mib".to_owned(), whole.node_rss_max_mib);
        for (name, run) in [("ingest", &whole.ingest), ("read", &whole.read), ("degraded_read", &whole.degraded_read)] {
            put(format!("{name}_mib_s"), run.mib_s());
            put(format!("{name}_cpu_s_per_gib"), run.nodes_cpu_s_per_gib());
            put(format!("{name}_client_cpu_s_per_gib"), run.client_cpu_s_per_gib());
        }
    }
    if let Some(custody) = &measured.custody {
        let count = |count: usize| f64::from(u32::try_from(count).expect("fewer than four billion"));
        put("custody_items".to_owned(), count(custody.items));
        put("hold_case_items".to_owned(), count(custody.case_items));
        put("hold_in_force_s".to_owned(), custody.hold_in_force.as_secs_f64());
        put("explain_median_ms".to_owned(), custody.explain_median.as_secs_f64() * 1000.0);
        put("explain_p99_ms".to_owned(), custody.explain_p99.as_secs_f64() * 1000.0);
    }
    if let (Some(stages), Some(whole)) = (stages, whole) {
        for (name, run, terms) in paths(stages, whole) {
            put(format!("{name}_stages_cpu_s_per_gib"), sums::total(&terms));
            put(format!("{name}_cost_ratio"), run.nodes_cpu_s_per_gib() / sums::total(&terms));
        }
    }
    Value::Object(flat)
}

/// What the nodes spend on a GiB of one run, as a multiple of another's.
fn over(run: &Run, other: &Run) -> f64 {
    run.nodes_cpu_s_per_gib() / other.nodes_cpu_s_per_gib()
}

/// One bar of the chart: what it shows, and its segments, the last being what no stage explains.
struct Bar {
    title: String,
    segments: Vec<Term>,
}

fn bars(stages: &Stages, whole: &Whole) -> Vec<Bar> {
    let bar = |(_, run, mut segments): (&str, &Run, Vec<Term>)| {
        let measured = run.nodes_cpu_s_per_gib();
        segments.push(("all else", (measured - sums::total(&segments)).max(0.0)));
        Bar { title: format!("{}: {measured:.2} CPU-s per GiB", run.name), segments }
    };
    paths(stages, whole).map(bar).into()
}

const CHART_WIDTH: f64 = 900.0;
const BAR_HEIGHT: f64 = 34.0;
const LEGEND_LINE: f64 = 16.0;
const COLOURS: [&str; 10] =
    ["#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#bab0ac"];

/// Stacked bars, each with its legend below it.
fn chart(bars: &[Bar]) -> String {
    let longest = bars.iter().map(|bar| sums::total(&bar.segments)).fold(f64::MIN_POSITIVE, f64::max);
    let (mut body, mut top) = (String::new(), 8.0);
    for bar in bars {
        let _ = writeln!(body, r#"<text x="8" y="{:.0}" font-weight="bold">{}</text>"#, top + 12.0, bar.title);
        top += 20.0;
        let mut left = 8.0;
        for ((_, cost), colour) in bar.segments.iter().zip(COLOURS) {
            let width = cost / longest * (CHART_WIDTH - 16.0);
            let _ = writeln!(
                body,
                r#"<rect x="{left:.1}" y="{top:.0}" width="{width:.1}" height="{BAR_HEIGHT}" fill="{colour}"/>"#
            );
            left += width;
        }
        top += BAR_HEIGHT + LEGEND_LINE;
        for (row, ((name, cost), colour)) in bar.segments.iter().zip(COLOURS).enumerate() {
            // Three columns, filled row by row.
            let x = 8.0 + 300.0 * [0.0, 1.0, 2.0][row % 3];
            let _ = writeln!(body, r#"<rect x="{x:.0}" y="{:.0}" width="10" height="10" fill="{colour}"/>"#, top - 9.0);
            let _ = writeln!(body, r#"<text x="{:.0}" y="{top:.0}">{name} {cost:.2}</text>"#, x + 16.0);
            if row % 3 == 2 {
                top += LEGEND_LINE;
            }
        }
        top += LEGEND_LINE + 12.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{CHART_WIDTH}\" height=\"{top:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n{body}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Took;

    fn run(name: &'static str, nodes_cpu_s: u64) -> Run {
        let took = Took { wall_s: 2.0, cpu_s: 1.0, bytes: 1 << 30, items: vec!["a".to_owned(); 10] };
        Run { name, took, nodes_cpu: Duration::from_secs(nodes_cpu_s) }
    }

    fn whole() -> Whole {
        Whole {
            ingest: run("ingest", 6),
            ingest_many: run("many", 6),
            ingest_many_by_four: run("four", 6),
            seals: run("seals", 1),
            commits: run("commits", 2),
            read: run("read", 4),
            degraded_read: run("degraded", 5),
            ingest_large_by_four: run("large", 6),
            node_rss_max_mib: 100.0,
        }
    }

    #[test]
    fn the_summary_has_every_key_that_is_compared_over_time() {
        let stages = Stages { sha256: 3.0, shard_read: 2.0, ..Stages::default() };
        let custody = Custody {
            items: 1_000_000,
            case_items: 100_000,
            hold_in_force: Duration::from_millis(1500),
            explain_median: Duration::from_micros(2500),
            explain_p99: Duration::from_millis(9),
        };
        let measured = Measured { stages: Some(stages), whole: Some(whole()), custody: Some(custody) };
        let summary = summary(&measured);
        for (key, expected) in [
            ("ingest_mib_s", 512.0),
            ("ingest_cpu_s_per_gib", 6.0),
            ("ingest_stages_cpu_s_per_gib", 3.0),
            ("ingest_cost_ratio", 2.0),
            ("read_cost_ratio", 2.0),
            ("degraded_read_cost_ratio", 2.5),
            ("ingest_client_cpu_s_per_gib", 1.0),
            ("read_client_cpu_s_per_gib", 1.0),
            ("ingest_many_over_one_cpu", 1.0),
            ("seal_per_s", 5.0),
            ("seal_cpu_ms", 100.0),
            ("raft_commit_cpu_ms", 200.0),
            ("raft_commit_ms", 200.0),
            ("degraded_over_healthy_read_mib_s", 1.0),
            ("degraded_over_healthy_read_cpu", 1.25),
            ("node_rss_max_mib", 100.0),
            ("stage_sha256_cpu_s_per_gib", 3.0),
            ("custody_items", 1e6),
            ("hold_case_items", 1e5),
            ("hold_in_force_s", 1.5),
            ("explain_median_ms", 2.5),
            ("explain_p99_ms", 9.0),
        ] {
            assert_eq!(summary[key], expected, "{key}");
        }
    }

    #[test]
    fn one_half_alone_has_no_ratio() {
        let stages = Stages::default();
        let one = Measured { stages: Some(stages), ..Measured::default() };
        let other = Measured { whole: Some(whole()), ..Measured::default() };
        assert!(summary(&one).get("ingest_cost_ratio").is_none());
        assert!(summary(&other).get("ingest_cost_ratio").is_none());
        assert!(path_table(None, &whole()).contains("seals/s"));
    }

    #[test]
    fn the_chart_fills_each_bar_up_to_what_was_measured() {
        let stages = Stages { sha256: 2.0, ..Stages::default() };
        let bars = bars(&stages, &whole());
        assert!((sums::total(&bars[0].segments) - 6.0).abs() < 1e-9);
        assert!(bars.iter().all(|bar| bar.segments.len() <= COLOURS.len()));
        let chart = chart(&bars);
        assert!(chart.contains("all else 4.00") && chart.ends_with("</svg>\n"));
    }
}
