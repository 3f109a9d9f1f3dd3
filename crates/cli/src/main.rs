//! `strongroom`: one binary; `strongroom <noun> <verb>`. Data on stdout, talk on stderr.
//!
//! Exit 0 done · 1 failed · 2 usage · 3 refused by policy. A panic is reported and ends the process (ADR 0001).

mod clock;
mod commands;
mod conditions;
mod failure;
mod items;
mod lang;
mod local;
mod memory;
mod output;
mod parse;
mod receipts;
mod session;
mod shown;
mod signals;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use commands::Command;
use session::Globals;

/// Keeps law-enforcement footage as evidence: sealed, retained, handed out only with approval, provable to outsiders.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, arg_required_else_help = true, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    abort_on_panic();
    memory::keep_freed();
    // A usage error ends here with exit code 2, help and version with 0.
    let Arguments { globals, command } = Arguments::parse();
    let done = command.run(&globals);
    globals.tell_of_trial();
    match done {
        Ok(code) => code,
        Err(failure) => {
            let told = failure.told(globals.output().lang);
            // Whoever does not listen is not told.
            let _ = std::io::stderr().lock().write_all(told.as_bytes());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// A broken invariant stops the process at once, whatever thread it is seen on.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_names_that_others_rely_on_are_there() {
        for line in [
            "strongroom demo --keep --dir D --lang zh",
            "strongroom dev up --dir D --nodes 6 --districts 3 --scheme 4+2 --profile p.toml --profile q.toml",
            "strongroom dev status --dir D",
            "strongroom dev stop n1 --dir D",
            "strongroom dev start n1 --dir D",
            "strongroom dev kill n1 --dir D",
            "strongroom dev down --dir D --delete",
            "strongroom node run --config node.toml",
            "strongroom node check-config node.toml",
            "strongroom pki inspect a.pem",
            "strongroom principal register bob --certificate a.pem --role legal --role head --unit U1",
            "strongroom principal rotate bob --certificate a.pem",
            "strongroom principal revoke bob --reason left",
            "strongroom principal list",
            "strongroom unit add U2 --name X --profile dev",
            "strongroom unit list",
            "strongroom device add D2 --unit U1 --type bwc --model M",
            "strongroom device list",
            "strongroom device show D2",
            "strongroom device issue D2 --to zhang --accessories x --content y",
            "strongroom device hand-over D2 --to li --un-ingested 0",
            "strongroom device return D2 --un-ingested 3",
            "strongroom device accept D2",
            "strongroom device decline D2 --reason broken",
            "strongroom device report-loss D2 --circumstances x",
            "strongroom device report-fault D2 --fault x --reported-to y",
            "strongroom device confirm-fault D2",
            "strongroom device repair D2 --repairer x --un-ingested 0",
            "strongroom device restore D2 --note x",
            "strongroom device dock-check D2 --offset-ms -1500 --un-ingested 0",
            "strongroom device correct D2 1 --field content --value x --reason y",
            "strongroom device ledger D2 --output csv",
            "strongroom device not-collected --unit U1",
            "strongroom device clearance zhang --check",
            "strongroom unit custodian U1 wang",
            "strongroom unit deputy U1 li --until 2026-03-08T00:00:00",
            "strongroom unit keepers U1",
            "strongroom activity open A-7 --unit U1 --kind x --officer 张三:1 --officer 李四:2 --place y --party 身份不明",
            "strongroom activity phase A-7 询问 --started 2026-03-01T09:40:00",
            "strongroom activity end A-7 --at 2026-03-01T10:00:00",
            "strongroom activity return A-7 --delay remote",
            "strongroom activity correct A-7 --field party --value x --reason y",
            "strongroom activity attach A-7 01010101010101010101010101010101 --phase 1 --angle left",
            "strongroom activity show A-7",
            "strongroom activity list --person 张三",
            "strongroom activity gaps A-7",
            "strongroom activity overdue --unit U1 --output csv",
            "strongroom activity interruption A-7 --from 2026-03-01T09:40:00 --to 2026-03-01T09:50:00 \
             --cause battery_low --voice-note 01010101010101010101010101010101@2.5",
            "strongroom activity exempt A-7 --cause urgent --text x --legal-basis y --consented-by z --office on_scene",
            "strongroom activity file A-7 12 --item 01010101010101010101010101010101 --reported-to x --exemption",
            "strongroom register interruptions --output csv",
            "strongroom register exemptions",
            "strongroom register notices --all",
            "strongroom register acknowledge U1 12 --opinion x",
            "strongroom profile list",
            "strongroom profile show dev",
            "strongroom profile show dev --proposed",
            "strongroom profile check p.toml",
            "strongroom profile preview p.toml",
            "strongroom profile propose p.toml",
            "strongroom --as head profile approve dev --record 57",
            "strongroom profile withdraw dev --reason no",
            "strongroom ingest a.mp4 b.mp4 --device D1 --unit U1 --recorded-start 2026-03-01T09:30:00+08:00 \
             --recorded-end 2026-03-01T09:40:00+08:00 --activity A --label k=v --label k2=v2",
            "strongroom item show 01010101010101010101010101010101 --output json",
            "strongroom item list --unit U1",
            "strongroom item search plate",
            "strongroom item explain 01010101010101010101010101010101",
            "strongroom item label 01010101010101010101010101010101 place=gate",
            "strongroom item history 01010101010101010101010101010101",
            "strongroom item delete 01010101010101010101010101010101",
            "strongroom item extend 01010101010101010101010101010101 --until 2030-01-01T00:00:00 --reason x",
            "strongroom item trigger 01010101010101010101010101010101 t2 --basis x",
            "strongroom item restrict 01010101010101010101010101010101 --kind non-duty --reason x",
            "strongroom item unrestrict 01010101010101010101010101010101 --reason x",
            "strongroom item classify 01010101010101010101010101010101 trade-secret --basis x",
            "strongroom item release-quarantine 01010101010101010101010101010101 --reason x",
            "strongroom case open C-1 --unit U1 --title x",
            "strongroom case bind C-1 --item 01010101010101010101010101010101 --items-from -",
            "strongroom case close C-1 --outcome 结案 --reason x",
            "strongroom case archive C-1 --date 2026-03-01T00:00:00 --term-months 36",
            "strongroom case reopen C-1 --reason x",
            "strongroom case show C-1",
            "strongroom case items C-1",
            "strongroom case list",
            "strongroom hold place H --authority A --reason x --case C-1 --device D1 --dry-run",
            "strongroom hold release H --reason x",
            "strongroom hold show H",
            "strongroom hold list --all",
            "strongroom draw record --unit U1 --from 2026-10-01T00:00:00 --to 2026-11-01T00:00:00 --ratio 10 --dry-run",
            "strongroom draw show DRAW-1",
            "strongroom draw list --limit 5",
            "strongroom draw export DRAW-1 --to d.draw",
            "strongroom draw verify DRAW-1",
            "strongroom draw verify d.draw --policy p",
            "strongroom inspection target --item 01010101010101010101010101010101 --complaint 7 --reason x",
            "strongroom inspection list",
            "strongroom correction propose extension 01010101010101010101010101010101 --record 4 --reason x",
            "strongroom correction propose archive C-1 --record 4 --date 2026-03-01T00:00:00 --permanent --reason x",
            "strongroom disposal close-lost --replica n3 --reason x",
            "strongroom disposal close-lost --disk 01010101010101010101010101010101 --reason x",
            "strongroom cluster voter replace n2 n7 --reason x --dry-run",
            "strongroom cluster voter approve 57",
            "strongroom cluster voter withdraw 57 --reason x",
            "strongroom cluster voter list",
            "strongroom correction propose outages 41=0s 57=3d4h --unrecorded -2h --reason x --dry-run",
            "strongroom correction approve COR-1",
            "strongroom correction withdraw COR-1 --reason x",
            "strongroom correction list",
            "strongroom --as legal request submit --act copy --item 01010101010101010101010101010101 --reason x",
            "strongroom --as approver request approve REQ-1",
            "strongroom request reject REQ-1 --reason no",
            "strongroom request withdraw REQ-1 --reason x",
            "strongroom request revoke REQ-1 --reason x",
            "strongroom request file-paper REQ-1 --form 01010101010101010101010101010101 --approver head",
            "strongroom request attest REQ-1 --paper 57",
            "strongroom request enter-oral REQ-1 --approver head --witness li --said-at 2026-03-01T21:40:00 --reason x",
            "strongroom request confirm-oral REQ-1",
            "strongroom mandate appoint li --until 2026-12-31T00:00:00 --document 任字7号",
            "strongroom mandate confirm li --record 57",
            "strongroom mandate delegate li --act view --act copy --unit U1 --until 2026-12-31T00:00:00",
            "strongroom mandate revoke li --record 57 --reason x",
            "strongroom mandate list --holder li",
            "strongroom view-list give legal --item 01010101010101010101010101010101 --document x \
             --until 2026-12-31T00:00:00",
            "strongroom view-list close legal --record 57 --result x",
            "strongroom view-list list",
            "strongroom view REQ-1 01010101010101010101010101010101",
            "strongroom view 01010101010101010101010101010101 --reason x",
            "strongroom request show REQ-1",
            "strongroom request list --pending",
            "strongroom --as archivist copy-out REQ-1 --to DIR",
            "strongroom view REQ-1 01010101010101010101010101010101",
            "strongroom --as legal view 01010101010101010101010101010101 --reason x",
            "strongroom verify a b --policy p",
            "strongroom ledger checkpoint",
            "strongroom ledger records",
            "strongroom ledger prove 3",
            "strongroom ledger policy",
            "strongroom cluster status --context c.toml",
            "strongroom cluster clock",
            "strongroom cluster advance-clock --days 400 --reason x",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for line in [
            "strongroom ingest --device D1 --unit U1",
            "strongroom item show 12",
            "strongroom request submit --act sell --item 01010101010101010101010101010101 --reason x",
            "strongroom request approve 1",
            "strongroom dev up",
            "strongroom cluster status --output xml",
            "strongroom disposal close-lost --reason x",
            "strongroom ledger prove -1",
            "strongroom view 01010101010101010101010101010101",
            "strongroom view REQ-1 01010101010101010101010101010101 --reason x",
        ] {
            assert_eq!(parse(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }
}
