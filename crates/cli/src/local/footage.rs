//! Something to ingest: real video with a running clock in the picture where ffmpeg is at hand, random bytes otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strongroom_engine::System;
use strongroom_types::UnixMillis;

use crate::failure::Failure;

/// Seconds of each recording.
pub(crate) const SECONDS: u32 = 6;
/// Bytes of a file where there is no ffmpeg.
const RANDOM_BYTES: usize = 3 << 20;

/// A file that looks like a recording.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// The file.
    pub(crate) path: PathBuf,
    /// When it begins.
    pub(crate) start: UnixMillis,
    /// When it ends.
    pub(crate) end: UnixMillis,
    /// Whether it is video.
    pub(crate) is_video: bool,
}

/// Makes the recording number `number` in `folder`; it ends about now.
pub(crate) fn make(folder: &Path, number: u32, system: &System) -> Result<Recording, Failure> {
    fs::create_dir_all(folder).map_err(Failure::file("create", folder))?;
    let end = system.clock.wall();
    let start = end.plus_ms(-1000 * i64::from(SECONDS));
    let video = folder.join(format!("BWC-{number:04}.mp4"));
    if film(&video, number, start) {
        return Ok(Recording { path: video, start, end, is_video: true });
    }
    // A half-written file of a failed ffmpeg is not left lying about.
    let _ = fs::remove_file(&video);
    let path = folder.join(format!("BWC-{number:04}.bin"));
    let mut bytes = vec![0; RANDOM_BYTES + usize::try_from(number).unwrap_or(0)];
    (system.random)(&mut bytes);
    fs::write(&path, bytes).map_err(Failure::file("write", &path))?;
    Ok(Recording { path, start, end, is_video: false })
}

/// H.264 and AAC. First with a clock drawn by the font library, then with the test picture's own counter.
fn film(path: &Path, number: u32, start: UnixMillis) -> bool {
    let seconds = start.0.div_euclid(1000);
    let clock = format!(
        "drawtext=text='D1  %{{pts\\:localtime\\:{seconds}\\:%F %T}}':x=24:y=24:fontsize=40:fontcolor=white:box=1:boxcolor=black@0.6"
    );
    encode(path, number, Some(&clock)) || encode(path, number, None)
}

fn encode(path: &Path, number: u32, filter: Option<&str>) -> bool {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]);
    command.args(["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25"]);
    command.args(["-f", "lavfi", "-i", &format!("sine=frequency={}:sample_rate=48000", 330 + 110 * number)]);
    if let Some(filter) = filter {
        command.args(["-vf", filter]);
    }
    command.args(["-t", &SECONDS.to_string(), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]);
    command.args(["-b:v", "4M", "-maxrate", "4M", "-bufsize", "8M", "-c:a", "aac", "-b:a", "128k"]);
    // Beijing time without any time-zone file.
    command.arg(path).env("TZ", "CST-8");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success()) && fs::metadata(path).is_ok_and(|file| file.len() > 0)
}
