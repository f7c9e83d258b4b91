//! The sim as a program: `upstream-sim --listen 127.0.0.1:9001 [--script events=30,every=40]`.
//!
//! In: its arguments; out: the address on standard output, then a provider until it is killed.

use std::net::SocketAddr;
use std::process::ExitCode;
use upstream_sim::{Script, Sim};

const USAGE: &str = "usage: upstream-sim [--listen ADDRESS:PORT] [--script SCRIPT]";

struct Arguments {
    listen: SocketAddr,
    script: Script,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut arguments =
            Arguments { listen: SocketAddr::from(([127, 0, 0, 1], 0)), script: Script::default() };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--listen" => {
                    arguments.listen = value.parse().map_err(|e| format!("--listen {value}: {e}"))?
                }
                "--script" => arguments.script = value.parse().map_err(|e| format!("--script: {e}"))?,
                _ => return Err(format!("{word} is not known")),
            }
        }
        Ok(arguments)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match Sim::bind_with(arguments.listen, arguments.script).await {
        Ok(sim) => {
            #[allow(clippy::print_stdout, reason = "who started it reads the address here")]
            {
                println!("{}", sim.addr);
            }
            std::future::pending().await
        }
        Err(error) => {
            eprintln!("cannot listen on {}: {error}", arguments.listen);
            ExitCode::FAILURE
        }
    }
}
