//! All rows, in the order in which they are shown.

use crate::harness::{Family, Scale};
use crate::{blocking, counting, crowd, draining, http, looking, rounds, tasks, trees, waiting};

pub(crate) fn all(scale: Scale) -> Vec<Family> {
    let chapters: [(&str, Vec<Family>); 6] = [
        (
            "Groups and their tasks",
            [counting::enter_and_leave(scale)]
                .into_iter()
                .chain(tasks::held(scale))
                .chain([draining::spawn_and_drain(scale), draining::by_tasks(scale)])
                .collect(),
        ),
        (
            "Asking",
            vec![
                looking::ask_an_open_signal(scale),
                looking::ask_an_open_token(scale),
                looking::longest_answer(scale),
            ],
        ),
        (
            "Waiting",
            vec![
                waiting::poll_a_fresh_wait(scale),
                waiting::a_turn_of_select(scale, true),
                waiting::a_turn_of_select(scale, false),
                waiting::poll_a_pending_wait_again(scale),
                waiting::poll_a_token_again(scale),
                rounds::beside_old_waits(scale),
                blocking::one_core(scale),
                blocking::two_cores(scale),
            ],
        ),
        ("A whole server", vec![http::throughput(scale), http::drain(scale)]),
        ("Children", vec![trees::make_and_drop_a_child(scale), trees::collapse(scale)]),
        ("Deep trees", vec![looking::ask_a_deep_token(scale)]),
    ];
    let [groups, asking, waiting, server, children, deep] = chapters.map(|(chapter, families)| {
        families.into_iter().map(|family| family.in_chapter(chapter)).collect::<Vec<_>>()
    });
    let crowds = crowd::crowds(scale);
    let (fans, chains) = (trees::fans(scale), trees::chains(scale));
    let all = [groups, asking, waiting, crowds, children, fans, deep, chains, server];
    all.into_iter().flatten().collect()
}
