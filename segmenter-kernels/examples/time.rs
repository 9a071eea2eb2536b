use segmenter_kernels::*;
use std::time::Instant;
fn median(mut f: impl FnMut()) -> f64 {
    f();
    f();
    let mut t: Vec<f64> = (0..9)
        .map(|_| {
            let s = Instant::now();
            f();
            s.elapsed().as_secs_f64()
        })
        .collect();
    t.sort_by(f64::total_cmp);
    t[4]
}
fn main() {
    for precision in [Precision::F32, Precision::Bf16] {
        for (name, ci, co, e, s) in [
            ("8-8 3d", 8, 8, [32, 64, 64], [1; 3]),
            ("16-16 3d", 16, 16, [32, 64, 64], [1; 3]),
            ("16-32 3d", 16, 32, [32, 64, 64], [1; 3]),
            ("32-64 3d", 32, 64, [16, 32, 32], [1; 3]),
            ("64-64 8^3", 64, 64, [8, 16, 16], [1; 3]),
            ("64-64 4x8x8", 64, 64, [4, 8, 8], [1; 3]),
            ("16-32 2d", 16, 32, [1, 256, 256], [1; 3]),
            ("16-32 s2", 16, 32, [32, 64, 64], [2; 3]),
            ("1-16", 1, 16, [32, 64, 64], [1; 3]),
        ] {
            let k = if e[0] == 1 { [1, 3, 3] } else { [3; 3] };
            let conv = Conv { channels: [ci, co], kernel: k, stride: s, padding: k.map(|k| k / 2) };
            let o = conv.output_extent(e);
            let x: Vec<f32> =
                (0..ci * e.iter().product::<usize>()).map(|i| (i % 17) as f32).collect();
            let w: Vec<f32> = (0..conv.weights()).map(|i| (i % 13) as f32 - 6.0).collect();
            let dy: Vec<f32> =
                (0..co * o.iter().product::<usize>()).map(|i| (i % 11) as f32 - 5.0).collect();
            let flop = 2.0 * conv.weights() as f64 * o.iter().product::<usize>() as f64;
            let st = Settings { precision, ..Settings::default() };
            let f = median(|| {
                std::hint::black_box(conv.forward(e, &[Input::new(&x, ci)], &w, None, st));
            });
            let b = median(|| {
                std::hint::black_box(conv.input_gradient(e, &[Input::new(&dy, co)], &w, None, st));
            });
            let mut g = vec![0.0; w.len()];
            let d = median(|| {
                conv.add_weight_gradient(
                    e,
                    &[Input::new(&x, ci)],
                    &[Input::new(&dy, co)],
                    &mut g,
                    st,
                );
            });
            println!(
                "{precision:?} {name:12} fwd {:7.2} ms {:6.1} GF/s | dx {:7.2} ms {:6.1} | dw {:7.2} ms {:6.1} | all {:6.1}",
                f * 1e3,
                flop / f / 1e9,
                b * 1e3,
                flop / b / 1e9,
                d * 1e3,
                flop / d / 1e9,
                3.0 * flop / (f + b + d) / 1e9
            );
        }
    }
}
