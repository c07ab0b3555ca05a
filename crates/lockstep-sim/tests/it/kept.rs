//! Seeds that found a bug. What they found is told with them; the dice of a seed mean the same for ever, the acts that
//! they choose may come to mean others, so each bug has its own test beside the code as well.

use lockstep_sim::{Scenario, Topic, Topics, run};

fn is_clean(seeds: &[u64]) {
    are_clean(seeds, Scenario::new(0).acts);
}

fn are_clean(seeds: &[u64], acts: u32) {
    // The topics came later than these seeds.
    are_clean_in(Topics::NONE, seeds, acts);
}

fn are_clean_in(topics: Topics, seeds: &[u64], acts: u32) {
    for seed in seeds {
        let outcome = run(Scenario {
            acts,
            topics,
            ..Scenario::new(*seed)
        });
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {:#?}",
            outcome.violations
        );
    }
}

#[test]
fn a_cancelled_order_that_its_shop_does_not_give_back_is_for_sale_again() {
    is_clean(&[5, 7, 9, 10, 13, 20]);
}

#[test]
fn a_write_that_met_moved_units_is_not_taken_for_what_the_shop_can_hold() {
    is_clean(&[47, 10_964]);
}

#[test]
fn units_that_move_while_a_level_is_written_do_not_become_its_shadow() {
    is_clean(&[50, 155]);
}

#[test]
fn an_absolute_write_is_read_with_its_orders_before_and_after() {
    is_clean(&[57, 148, 215, 237, 244, 269]);
}

#[test]
fn what_a_disk_had_staged_before_another_worker_went_on_is_forgotten() {
    is_clean(&[11_094, 11_234]);
}

#[test]
fn an_edit_that_comes_with_the_answer_to_a_write_is_still_an_edit() {
    is_clean(&[59, 220]);
}

#[test]
fn a_clock_that_is_put_right_does_not_make_a_late_write_an_absent_one() {
    are_clean(&[2_011_963, 2_035_324, 2_084_250, 2_084_664, 2_093_340], 7);
}

#[test]
fn a_product_is_edited_before_the_answer_to_its_create_is_known() {
    are_clean(&[2_073_810, 2_085_773], 7);
}

#[test]
fn an_order_placed_and_cancelled_while_its_level_is_read_is_not_seen_in_that_level() {
    are_clean(&[4_002_041], 7);
}

#[test]
fn a_level_is_not_believed_whose_shop_failed_before_its_orders_were_read_once_more() {
    are_clean(&[4_060_805], 7);
}

/// What a history had in it when these were found.
fn before_trees() -> Topics {
    Topics::usual().without(&[
        Topic::Trees,
        Topic::MadeAgain,
        Topic::Readdressed,
        Topic::Wiped,
        Topic::Stocks,
        Topic::Undo,
        Topic::DeletedThere,
    ])
}

#[test]
fn what_was_sold_and_shipped_before_an_absolute_write_is_no_receipt() {
    are_clean_in(before_trees(), &[12_054_978], 7);
}

#[test]
fn a_picture_that_is_given_does_not_end_what_was_refused_before_it() {
    are_clean_in(before_trees(), &[12_093_896], 7);
}

#[test]
fn a_level_that_waits_for_a_person_stands_aside_no_more() {
    are_clean_in(before_trees(), &[1_155], 40);
}

#[test]
fn a_product_that_is_made_before_its_category_waits_for_it() {
    let topics = before_trees().and(Topic::Trees);
    are_clean_in(topics, &[337], 7);
}

#[test]
fn a_category_is_itself_when_it_is_renamed_or_hung_elsewhere_before_it_is_known_to_be_there() {
    let topics = before_trees().and(Topic::Trees).and(Topic::Wiped);
    let topics = topics.and(Topic::MadeAgain).and(Topic::Readdressed);
    are_clean_in(topics, &[501_996, 502_244], 7);
}

#[test]
fn an_undo_is_no_edit_and_its_answer_reaches_every_shop() {
    let topics = Topics::usual().without(&[Topic::DeletedThere]);
    are_clean_in(topics, &[786, 1_416], 7);
    are_clean_in(topics, &[374], 40);
}

#[test]
fn two_questions_of_one_record_that_are_answered_one_after_the_other_both_count() {
    are_clean_in(Topics::usual(), &[20_573], 40);
}

#[test]
fn what_was_given_back_before_an_absolute_write_is_lost_by_it_and_no_count() {
    are_clean_in(Topics::usual(), &[30_162], 40);
}

#[test]
fn a_receipt_that_meets_a_write_of_less_than_nothing_is_no_clamp() {
    are_clean_in(Topics::usual(), &[20_766, 40_046], 40);
}

#[test]
fn a_level_that_an_order_touched_after_the_last_of_many_readings_waits() {
    are_clean_in(Topics::usual(), &[462], 40);
}

#[test]
fn a_category_decided_on_before_its_parent_was_renamed_in_the_same_run_is_found_again() {
    are_clean_in(Topics::usual(), &[108], 40);
}

#[test]
fn units_that_an_order_gave_free_are_for_sale_at_once() {
    let topics = Topics::usual().without(&[Topic::DeletedThere]);
    are_clean_in(topics, &[13_005_377], 7);
}

#[test]
fn what_is_made_again_in_a_shop_gets_its_units_back() {
    are_clean_in(Topics::usual(), &[220, 985], 7);
}

#[test]
fn of_two_equal_lines_units_are_cancelled_of_the_same_one_on_both_sides() {
    are_clean_in(Topics::usual(), &[15_012_394, 21_042_760], 7);
}

#[test]
fn of_a_stock_that_was_wiped_and_found_again_the_few_that_are_truly_sold_out_wait_no_longer() {
    are_clean_in(Topics::usual(), &[20_003_521, 20_009_409], 7);
}

#[test]
fn what_was_sent_under_its_old_sku_and_is_found_later_is_the_item_that_was_sent() {
    are_clean_in(Topics::usual(), &[30_001_985, 30_006_276, 30_008_091], 7);
}

#[test]
fn what_a_shop_has_called_so_all_along_is_not_in_doubt_because_another_of_ours_is_called_so_now() {
    are_clean_in(Topics::usual(), &[30_001_575, 30_005_994], 7);
}

#[test]
fn a_level_that_was_read_before_its_item_was_renamed_is_read_again() {
    are_clean_in(Topics::usual(), &[189, 451, 1_980, 2_034, 40_008_610], 7);
}
