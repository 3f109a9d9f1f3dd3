//! A call that changes something and is answered with the position of its record: parsed, submitted once, answered.

use prost::Message;
use strongroom_custody::{Answer, Command};
use strongroom_types::Refusal;
use tonic::{Request, Status};

use crate::edge::{Edge, answer, digest, idempotency, unexpected};

/// A request that is one command.
pub(super) trait Change: Message {
    /// The call's name, which the idempotency key is bound to.
    const NAME: &'static str;

    /// The idempotency key, taken out: the rest of the request is what it stands for.
    fn take_key(&mut self) -> String;

    /// The command.
    fn command(self) -> Result<Command, Refusal>;
}

/// Says which command a request is.
macro_rules! change {
    ($request:ident, $name:literal, $asked:ident => $command:expr) => {
        impl $crate::handlers::change::Change for $request {
            const NAME: &'static str = $name;

            fn take_key(&mut self) -> String {
                std::mem::take(&mut self.idempotency_key)
            }

            fn command(self) -> Result<strongroom_custody::Command, strongroom_types::Refusal> {
                let $asked = self;
                Ok($command)
            }
        }
    };
}
pub(super) use change;

/// Commits it; answers the position of its record.
pub(super) async fn commit<R: Change>(edge: &Edge, request: Request<R>) -> Result<u64, Status> {
    let caller = edge.caller(&request).await?;
    let mut asked = request.into_inner();
    let idempotency = idempotency(&asked.take_key(), digest(R::NAME, &asked))?;
    let command = asked.command().map_err(|refusal| answer(&refusal))?;
    match edge.submit(&caller, command, idempotency).await? {
        Answer::Recorded(seq) => Ok(seq.0),
        other => Err(unexpected(&other)),
    }
}
