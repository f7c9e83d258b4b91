//! x
use crate::{event::*, loss::Losses, translate::*};
#[derive(Debug, Default)] pub(crate) struct Decoder;
impl Decoder { pub(crate) fn read(&mut self, _: &str, _: &mut Track) {} pub(crate) fn finish(&mut self, _: &mut Track) {} }
#[derive(Debug)] pub(crate) struct Encoder;
impl Encoder { pub(crate) fn new(_: Telling) -> Encoder { Encoder } pub(crate) fn write(&mut self, _: &ChatEvent, _: &mut Vec<u8>, _: &mut Losses) {} pub(crate) fn next_sequence(&self) -> u64 { 0 } }
