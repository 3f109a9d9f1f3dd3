//! Classes: defined once, and afterwards only strengthened, because what is stored was promised something.

use strongroom_types::{Reason, Refusal, rows::Rows};

use crate::{
    CLASSES_MAX,
    command::Event,
    outcome::{Outcome, done},
    read,
    row::{CLASSES, ClassRow, CloseReason},
    volumes,
};

pub(crate) fn define(rows: &mut dyn Rows, class: &ClassRow) -> Outcome {
    match CLASSES.read(rows, &class.name)? {
        Some(stored) if stored == *class => return done(Vec::new()),
        Some(stored) => refuse_weaker(&stored, class)?,
        None => refuse_too_many(rows, class)?,
    }
    // New chunks get what the class says now; those already placed keep their volume's scheme.
    for volume in read::open_volumes(rows, &class.name)? {
        volumes::close_row(rows, volume, CloseReason::Superseded)?;
    }
    CLASSES.write(rows, &class.name, class);
    done(vec![Event::ClassDefined { name: class.name.clone(), promise: class.promise, widest: class.widest }])
}

fn refuse_weaker(stored: &ClassRow, asked: &ClassRow) -> Result<(), Refusal> {
    if asked.promise >= stored.promise && asked.widest.parity() >= stored.widest.parity() {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::AlreadyExists,
        "",
        format!(
            "class {} promises {} with {} and cannot be weakened to {} with {}",
            stored.name, stored.promise, stored.widest, asked.promise, asked.widest
        ),
        "define a class under another name",
    ))
}

fn refuse_too_many(rows: &dyn Rows, asked: &ClassRow) -> Result<(), crate::outcome::Stop> {
    if read::classes(rows)?.len() < CLASSES_MAX {
        return Ok(());
    }
    let message = format!("class {} would be one more than {CLASSES_MAX}", asked.name);
    Err(Refusal::new(Reason::InvalidArgument, "", message, "use one of the classes that exist").into())
}
