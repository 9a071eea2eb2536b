//! One figure at a time, for `scripts/against_tifffile.py`, which runs tifffile in turn with it.
//!
//! `images read FILE REPEATS` prints the seconds of each reading of a 16-bit volume after one for warming
//! up; `images write COMPRESSION SOURCE FILE REPEATS` those of each writing, until the file is on disk. The last
//! line is the peak memory in bytes.

#![allow(clippy::print_stdout, reason = "it is a program")]
#![allow(clippy::unwrap_used, reason = "only the script calls it")]
#![allow(missing_docs, reason = "it is a program")]

mod support;

use std::{hint::black_box, path::Path, time::Instant};

use segmenter::{
    Stack3,
    io::{Compression, Existing, SaveOptions},
};

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["read", file, repeats] => read(file, repeats.parse().unwrap()),
        ["write", compression, source, file, repeats] => {
            write(compression, source, Path::new(file), repeats.parse().unwrap());
        }
        // `cargo test --benches` and `cargo bench` call it without words.
        _ => return,
    }
    println!("{}", support::peak());
}

fn read(file: &str, repeats: usize) {
    time(repeats, || {
        black_box(Stack3::<u16>::open(file).unwrap());
    });
}

fn write(compression: &str, source: &str, file: &Path, repeats: usize) {
    let stack = Stack3::<u16>::open(source).unwrap();
    let compression = match compression {
        "none" => Compression::None,
        "deflate" => Compression::Deflate,
        _ => Compression::Zstd,
    };
    let options = SaveOptions::new().with_compression(compression).with_existing(Existing::Replace);
    time(repeats, || options.save_stack(&stack, file).unwrap());
}

fn time(repeats: usize, mut work: impl FnMut()) {
    work();
    for _ in 0..repeats {
        let began = Instant::now();
        work();
        println!("{}", began.elapsed().as_secs_f64());
    }
}
