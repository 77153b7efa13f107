use electra_core::*;
use std::time::Instant;
fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let t = Instant::now();
    let cp = electra_pack::hugging_face::read(std::path::Path::new(&dir)).unwrap();
    println!("read {:?}", t.elapsed());
    let t = Instant::now();
    let p = electra_pack::model_file::pack(&cp, &[("name", "x")]).unwrap();
    println!("pack {:?} {} bytes", t.elapsed(), p.bytes.len());
    std::fs::write("/tmp/model.electra", &p.bytes).unwrap();
    for (k, b) in &p.sections { println!("{:?} {}", k, b); }
    #[repr(C, align(64))] #[derive(Clone, Copy)] struct L([u8; 64]);
    let mut buf = vec![0u64; p.bytes.len() / 8 + 16];
    let by: &mut [u8] = unsafe { std::slice::from_raw_parts_mut(buf.as_mut_ptr().cast(), buf.len() * 8) };
    let off = by.as_ptr().align_offset(64);
    by[off..off + p.bytes.len()].copy_from_slice(&p.bytes);
    let by = &by[off..off + p.bytes.len()];
    let t = Instant::now();
    let m = Model::open(by).unwrap();
    println!("open {:?}", t.elapsed());
    for n in [8, 32, 128, 512] { println!("arena {} {}", n, arena_bytes(m.config(), n)); }
    let need = arena_bytes(m.config(), 512);
    let mut arena = vec![L([0; 64]); need / 64];
    let arena: &mut [u8] = unsafe { std::slice::from_raw_parts_mut(arena.as_mut_ptr().cast(), need) };
    for k in Kernels::all() {
        let mut e = Engine::new(&m, k, arena, 512).unwrap();
        let mut worst = 0f32; let mut sum = 0.0; let mut c = 0; let mut bits = 0u32;
        for line in std::fs::read_to_string(format!("{dir}/expected.jsonl")).unwrap().lines() {
            let v: serde_json::Value = serde_json::from_str(line).unwrap();
            let ids: Vec<u16> = v["input_ids"].as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u16).collect();
            let l = e.run(&ids).unwrap();
            for (a, b) in l.iter().zip(v["logits"].as_array().unwrap()) {
                let d = (a - b.as_f64().unwrap() as f32).abs(); worst = worst.max(d); sum += d; c += 1; bits = bits.wrapping_mul(31).wrapping_add(a.to_bits());
            }
        }
        println!("{} worst {} mean {} bits {:x}", k.name(), worst, sum / c as f32, bits);
        for n in [8usize, 16, 32, 64, 128, 256, 512] {
            let ids: Vec<u16> = (0..n as u16).map(|i| 1000 + i * 17).collect();
            let mut best = f64::MAX;
            for _ in 0..(if k.name() == "scalar" { 3 } else { 40 }) { let t = Instant::now(); e.run(&ids).unwrap(); best = best.min(t.elapsed().as_secs_f64()); }
            println!("  {n:4} tokens {:.3} ms  {:.1} GMAC/s", best * 1e3, m.config().macs(n) as f64 / best / 1e9);
        }
    }
}
