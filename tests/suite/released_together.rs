//! Many chroots that are released at the same time, whose trees the worker dissolves together where the
//! kernel can.

use std::fs::File;
use std::io::Read;

use nsgate::{Chroot, ChrootOptions, OpenOptions, Proof, Propagation, SandboxMap};

use crate::host::{Volume, close, gate, host, proved, proved_gone, soon};

const CHROOTS: usize = 60;
const VOLUMES: usize = 6;

#[test]
fn each_has_its_own_outcome_and_its_open_files_stay() {
    let _host = host();
    let gate = gate();
    let volumes: Vec<Volume> = (0..VOLUMES).map(|_| Volume::new()).collect();
    for (index, volume) in volumes.iter().enumerate() {
        volume.file("whose", &format!("of volume {index}"));
    }
    let map: SandboxMap<()> = SandboxMap::new(&gate);
    let life = map.register("sandbox", "life", ()).map_err(|(e, ())| e);
    let life = life.unwrap();
    let mut open_files: Vec<(usize, File)> = Vec::new();
    let mut chroots = Vec::new();
    for index in 0..CHROOTS {
        let mut options = ChrootOptions::default();
        if index % 4 == 1 {
            options.propagation = Propagation::Slave;
        }
        let volume = &volumes[index % VOLUMES];
        let chroot = Chroot::open(&gate, volume.path(), &options).unwrap();
        if index % 5 == 2 {
            let file = chroot.open_file("whose", OpenOptions::new(libc::O_RDONLY));
            open_files.push((index, file.unwrap().into()));
        }
        if index % 7 == 3 {
            chroot.run(|| ()).unwrap();
        }
        life.attach(&chroot).unwrap();
        chroots.push(chroot);
    }
    // Nobody is woken before the last of them is in the queue.
    life.mark_stopped().unwrap();
    let releases = gate.releases();
    releases.fence(Some(soon())).unwrap();
    for (index, chroot) in chroots.iter().enumerate() {
        let event = releases
            .wait(chroot.ticket().unwrap(), Some(soon()))
            .unwrap();
        let outcome = match open_files.iter().any(|(open, _)| *open == index) {
            true => proved(&gate, Proof::Held { descriptors: 1 }),
            false => proved_gone(&gate, index % 7 == 3),
        };
        assert_eq!(event.outcome, outcome, "chroot {index}");
        assert_eq!(event.attempts, 1);
    }
    for (index, mut file) in open_files {
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, format!("of volume {}", index % VOLUMES));
    }
    let stats = gate.stats();
    assert_eq!(stats.released, CHROOTS as u64);
    assert_eq!(stats.queue_duration.count, CHROOTS as u64);
    map.close();
    drop((life, chroots));
    close(&gate);
}
