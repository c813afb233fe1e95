//! Losing, repeating or swapping any frame costs a reconnect and nothing else.

use crate::world::{Fault, World};

/// Sessions that say everything the protocol has to say: what they start from,
/// and what happens once they are live.
struct Scene {
    name: &'static str,
    prepare: fn(&mut World),
    live: fn(&mut World),
}

fn write_some(world: &mut World, store: usize, from: usize, to: usize) {
    for number in from..to {
        world.write(store, &format!("document {}", number % 7), format!("{number}").as_bytes());
    }
}

fn nothing(_: &mut World) {}

fn first(world: &mut World) {
    write_some(world, 0, 0, 20);
}

fn both_first(world: &mut World) {
    write_some(world, 0, 0, 9);
    write_some(world, 1, 3, 12);
}

fn in_sync(world: &mut World) {
    both_first(world);
    world.connect(0);
    world.agree();
    world.disconnect(0);
}

fn behind(world: &mut World) {
    in_sync(world);
    write_some(world, 0, 20, 25);
    write_some(world, 1, 30, 33);
}

fn behind_and_reopened(world: &mut World) {
    in_sync(world);
    for store in [0, 1] {
        world.crash(store, false);
    }
    write_some(world, 0, 20, 25);
    write_some(world, 1, 30, 33);
}

fn cursors_lost(world: &mut World) {
    behind(world);
    for number in 0..90 {
        world.write(0, &format!("many {number}"), b"x");
    }
    for store in &mut world.stores {
        store.durable.cursors.clear();
    }
}

fn push(world: &mut World) {
    write_some(world, 0, 40, 43);
    world.settle();
    write_some(world, 1, 50, 53);
}

const SCENES: [Scene; 5] = [
    Scene { name: "first sync", prepare: first, live: nothing },
    Scene { name: "catch-up by cursor", prepare: behind, live: nothing },
    Scene { name: "catch-up after reopening", prepare: behind_and_reopened, live: nothing },
    Scene { name: "comparison", prepare: cursors_lost, live: nothing },
    Scene { name: "live push", prepare: in_sync, live: push },
];

impl Scene {
    /// Plays the scene with this fault, then checks that all ends well. Gives
    /// how many frames each side sent in the connection with the fault.
    fn play(&self, fault: Option<(usize, usize, Fault)>) -> [usize; 2] {
        let mut world = World::new(2, &[[0, 1]]);
        (self.prepare)(&mut world);
        world.connect(0);
        world.ask(0, 0, 1);
        world.ask(0, 1, 1);
        world.fault = fault;
        world.settle();
        if world.links[0].connection.is_some() {
            (self.live)(&mut world);
            world.settle();
        }
        let frames = world.links[0].connection.as_ref().map(|sides| sides.each_ref());
        let frames = frames.map_or([0, 0], |sides| sides.map(|side| side.tap.frames));
        // Whoever waits for something gives up at some time; then they meet again.
        while world.links[0].connection.is_some() && world.wait() {
            world.settle();
        }
        if let Some(sides) = &world.links[0].connection {
            for side in sides {
                assert_eq!(side.synced, [1], "{}: {fault:?}: nobody waits, yet", self.name);
            }
        }
        world.agree();
        frames
    }

    fn play_all(&self, fault: Fault) {
        let frames = self.play(None);
        assert!(frames.iter().sum::<usize>() > 4, "{}: {frames:?}", self.name);
        for (end, count) in frames.into_iter().enumerate() {
            for frame in 0..count {
                self.play(Some((end, frame, fault)));
            }
        }
    }
}

#[test]
fn losing_any_one_frame_in_any_phase_ends_in_agreement() {
    for scene in &SCENES {
        scene.play_all(Fault::Lose);
    }
}

#[test]
fn repeating_any_one_frame_in_any_phase_ends_in_agreement() {
    for scene in &SCENES {
        scene.play_all(Fault::Duplicate);
    }
}

#[test]
fn swapping_any_two_neighbours_in_any_phase_ends_in_agreement() {
    for scene in &SCENES {
        scene.play_all(Fault::Swap);
    }
}

#[test]
fn a_repeated_frame_does_not_even_cost_a_reconnect() {
    for scene in &SCENES {
        for (end, count) in scene.play(None).into_iter().enumerate() {
            for frame in 0..count {
                let mut world = World::new(2, &[[0, 1]]);
                (scene.prepare)(&mut world);
                world.connect(0);
                world.fault = Some((end, frame, Fault::Duplicate));
                world.settle();
                assert!(world.links[0].connection.is_some(), "{} {end} {frame}", scene.name);
            }
        }
    }
}
