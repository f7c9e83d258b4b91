//! The servers of the benchmark, running.
//!
//! In: what there is on this machine; out: the subjects. The upstream and this process share a core, each measured server
//! has the other one to itself; only one of them works at a time.

use std::{path::PathBuf, process::Stdio};

use super::ways::{self, Case, Subject, Upstreams, Way};
use crate::{
    load::Meter,
    machine::Cores,
    scratch::Scratch,
    servers::{answerer::Answerer, nginx::Nginx, sim::Sim, sluice::Sluice},
};

#[derive(Debug)]
pub struct Setup {
    scratch: Scratch,
    cores: Cores,
    nginx_program: Option<PathBuf>,
    sim: Sim,
    answerer: Answerer,
    nginx: Option<Nginx>,
    sluice: Sluice,
}

impl Setup {
    pub async fn start(nginx_program: Option<PathBuf>, cores: Cores) -> Result<Setup, String> {
        let scratch = Scratch::make("bench")?;
        let sim = Sim::start(scratch.path(), cores.around).await?;
        let answerer = Answerer::start(scratch.path(), cores.around).await?;
        let upstreams = Upstreams { answerer: answerer.address, sim: sim.address };
        let nginx = start_nginx(nginx_program.as_ref(), &scratch, cores, upstreams).await?;
        let sluice = start_sluice(&scratch, cores, upstreams).await?;
        Ok(Setup { scratch, cores, nginx_program, sim, answerer, nginx, sluice })
    }

    fn upstreams(&self) -> Upstreams {
        Upstreams { answerer: self.answerer.address, sim: self.sim.address }
    }

    /// Replaces the measured servers by fresh ones, whose memory nobody has used yet.
    pub async fn refresh(&mut self) -> Result<(), String> {
        self.nginx = None;
        self.nginx =
            start_nginx(self.nginx_program.as_ref(), &self.scratch, self.cores, self.upstreams()).await?;
        self.sluice = start_sluice(&self.scratch, self.cores, self.upstreams()).await?;
        Ok(())
    }

    /// The ways of a round to the upstream of this case. Each round begins with another one, so that none always comes first.
    pub fn subjects(&self, round: usize, case: Case) -> Vec<Subject> {
        let mut subjects = self.subjects_of_both_lanes(round, case);
        subjects.retain(|subject| subject.way != Way::Translated);
        subjects
    }

    /// The same, with Sluice's translation.
    pub fn subjects_of_both_lanes(&self, round: usize, case: Case) -> Vec<Subject> {
        let subject = |way, address, pid| Subject { way, address, meter: Meter(pid) };
        let mut subjects = vec![subject(Way::Direct, self.upstreams().of(case), None)];
        if let Some(nginx) = &self.nginx {
            subjects.push(subject(Way::Nginx, nginx.address, Some(nginx.process.pid)));
        }
        for way in [Way::Sluice, Way::Translated] {
            subjects.push(subject(way, self.sluice.address, Some(self.sluice.process.pid)));
        }
        let count = subjects.len();
        subjects.rotate_left(round % count);
        subjects
    }
}

async fn start_nginx(
    program: Option<&PathBuf>,
    scratch: &Scratch,
    cores: Cores,
    upstreams: Upstreams,
) -> Result<Option<Nginx>, String> {
    let Some(program) = program else { return Ok(None) };
    Nginx::start(program, scratch, cores.measured, upstreams).await.map(Some)
}

async fn start_sluice(scratch: &Scratch, cores: Cores, upstreams: Upstreams) -> Result<Sluice, String> {
    let file = scratch.path().join("sluice.toml");
    // The request lines are made and written, to where nothing has to keep them: what a disk costs is not the question.
    Sluice::start(&file, &ways::channels(upstreams), cores.measured, Stdio::null()).await
}
