//! Random worlds: whatever is lost, late, repeated, crashed, restored or
//! disconnected, once it stops all stores hold the same.

use crate::world::{Rng, World};

const STAR: [[usize; 2]; 3] = [[1, 0], [2, 0], [3, 0]];
const CHAIN: [[usize; 2]; 3] = [[0, 1], [1, 2], [2, 3]];

#[derive(Clone, Copy)]
struct Chances {
    disconnect: usize,
    crash: usize,
    restore: usize,
    lose: usize,
    fail_commit: usize,
    duplicates: bool,
}

const CALM: Chances =
    Chances { disconnect: 0, crash: 0, restore: 0, lose: 0, fail_commit: 0, duplicates: false };
const ROUGH: Chances =
    Chances { disconnect: 6, crash: 3, restore: 0, lose: 8, fail_commit: 3, duplicates: true };
const DISASTER: Chances = Chances { restore: 3, ..ROUGH };

/// One step of the world, picked by the seed.
fn step(world: &mut World, rng: &mut Rng, chances: Chances, asked: &mut u64) {
    let link = rng.below(world.links.len());
    let end = rng.below(2);
    if world.links[link].connection.is_none() {
        if rng.chance(10) {
            world.connect(link);
        }
        return;
    }
    match rng.below(1000) {
        0..300 => drop(world.poll(link, end)),
        300..600 => drop(world.deliver(link, end)),
        600..850 => drop(world.work(link, end)),
        850..930 => {
            let store = rng.below(world.stores.len());
            let size = if rng.chance(3) { 40_000 } else { rng.below(30) };
            let document = format!("document {}", rng.below(6));
            world.write(store, &document, &vec![1; size]);
        }
        930..950 => {
            *asked += 1;
            world.ask(link, end, *asked);
        }
        950..960 => {
            let writable = rng.chance(60);
            world.side(link, end).writable = writable;
        }
        960..970 => drop(world.hang_up()),
        roll => fault(world, rng, chances, (link, end), roll - 970),
    }
}

fn fault(
    world: &mut World,
    rng: &mut Rng,
    chances: Chances,
    (link, end): (usize, usize),
    roll: usize,
) {
    let mut bound = chances.disconnect;
    if roll < bound {
        return world.disconnect(link);
    }
    bound += chances.crash;
    if roll < bound {
        let store = rng.below(world.stores.len());
        return world.crash(store, false);
    }
    bound += chances.restore;
    if roll < bound {
        let store = rng.below(world.stores.len());
        if rng.chance(50) {
            world.stores[store].backup = Some(world.stores[store].durable.clone());
        } else {
            world.crash(store, true);
        }
        return;
    }
    bound += chances.lose;
    if roll < bound {
        world.side(link, end).inbox.pop_front();
        return;
    }
    bound += chances.fail_commit;
    if roll < bound {
        world.failing_commits = 1;
    } else if rng.chance(20) {
        world.wait();
    }
}

fn run(seed: u64, links: &[[usize; 2]], chances: Chances, steps: usize) {
    let mut rng = Rng::new(seed);
    let mut world = World::new(4, links);
    world.duplicates = chances.duplicates.then(|| Rng::new(seed));
    let mut asked = 0;
    for _ in 0..steps {
        step(&mut world, &mut rng, chances, &mut asked);
    }
    world.failing_commits = 0;
    world.duplicates = None;
    for link in 0..links.len() {
        if world.links[link].connection.is_some() {
            for end in [0, 1] {
                world.side(link, end).writable = true;
            }
        }
    }
    world.agree();
}

fn run_all(seeds: std::ops::Range<u64>, chances: Chances) {
    for seed in seeds {
        for links in [STAR, CHAIN] {
            let done = std::panic::catch_unwind(|| run(seed, &links, chances, 1200));
            assert!(done.is_ok(), "seed {seed}, links {links:?}");
        }
    }
}

#[test]
fn calm_worlds_agree_whatever_the_order_of_things() {
    run_all(0..10, CALM);
}

#[test]
fn worlds_with_losses_crashes_and_failing_stores_agree_once_these_stop() {
    run_all(100..115, ROUGH);
}

#[test]
fn worlds_where_backups_are_restored_agree_and_lose_nothing_that_is_left() {
    run_all(200..230, DISASTER);
}
