//! Bugs that somebody could write, switched on one by one: a checker catches each within 200 seeds that are without a
//! violation when it is off.

use lockstep_sim::{Mistake, Scenario, run};

const SEEDS: u64 = 200;

fn is_caught(mistake: Mistake) {
    let caught = (1..=SEEDS).find(|seed| {
        let scenario = Scenario::new(*seed);
        let with_it = run(Scenario {
            mistake: Some(mistake),
            ..scenario
        });
        !with_it.violations.is_empty() && run(scenario).violations.is_empty()
    });
    assert!(
        caught.is_some(),
        "{mistake:?} is not caught by {SEEDS} seeds"
    );
}

#[test]
fn a_skipped_intent_is_caught() {
    is_caught(Mistake::SkipTheIntent);
}

#[test]
fn an_intent_that_nobody_acknowledged_is_caught() {
    is_caught(Mistake::IntentNotAcknowledged);
}

#[test]
fn comparing_with_the_base_in_place_of_the_shadow_is_caught() {
    is_caught(Mistake::CompareWithTheBase);
}

#[test]
fn an_absolute_write_that_ignores_the_orders_around_it_is_caught() {
    is_caught(Mistake::AbsoluteWriteIgnoresOrders);
}

#[test]
fn a_stock_write_that_is_repeated_is_caught() {
    is_caught(Mistake::StockWriteRepeated);
}

#[test]
fn an_epoch_that_nobody_checks_is_caught() {
    is_caught(Mistake::EpochUnchecked);
}

#[test]
fn a_cursor_that_moves_before_the_commit_is_caught() {
    is_caught(Mistake::CursorBeforeCommit);
}

#[test]
fn a_copy_counted_as_a_sale_is_caught() {
    is_caught(Mistake::CopyCountedAsSale);
}

#[test]
fn a_shipment_counted_as_a_sale_is_caught() {
    is_caught(Mistake::ShipmentCountedAsSale);
}

#[test]
fn an_erp_written_for_units_in_transit_is_caught() {
    is_caught(Mistake::ErpWrittenForUnitsInTransit);
}

#[test]
fn a_cancel_given_back_twice_is_caught() {
    is_caught(Mistake::CancelGivenBackTwice);
}

#[test]
fn a_return_counted_in_both_shops_is_caught() {
    is_caught(Mistake::ReturnCountedInBothShops);
}

#[test]
fn a_free_number_written_as_a_physical_one_is_caught() {
    is_caught(Mistake::FreeNumberWrittenAsPhysical);
}

#[test]
fn a_copy_imported_as_an_order_is_caught() {
    is_caught(Mistake::CopyImportedAsAnOrder);
}

#[test]
fn an_own_value_read_as_an_edit_after_a_take_over_is_caught() {
    is_caught(Mistake::OwnValueReadAsAnEdit);
}

#[test]
fn an_open_stock_intent_matched_by_value_alone_is_caught() {
    is_caught(Mistake::StockIntentMatchedByValue);
}

#[test]
fn a_search_that_comes_too_early_is_caught() {
    is_caught(Mistake::SearchTooEarly);
}

#[test]
fn an_unsettled_intent_that_is_overwritten_is_caught() {
    is_caught(Mistake::UnsettledIntentOverwritten);
}

#[test]
fn not_put_back_that_is_ignored_is_caught() {
    is_caught(Mistake::NotPutBackIgnored);
}

#[test]
fn an_opening_date_that_is_ignored_is_caught() {
    is_caught(Mistake::OpeningDateIgnored);
}

#[test]
fn an_authorised_order_that_counts_as_paid_is_caught() {
    is_caught(Mistake::AuthorisedCountsAsPaid);
}

#[test]
fn a_tracking_number_that_is_lost_is_caught() {
    is_caught(Mistake::TrackingLost);
}

#[test]
fn a_buffer_that_is_taken_off_the_owner_too_is_caught() {
    is_caught(Mistake::BufferOffTheOwnerToo);
}

#[test]
fn orders_that_are_not_read_again_around_levels_are_caught() {
    is_caught(Mistake::OrdersNotReadAgain);
}

#[test]
fn a_batch_whose_rest_is_dropped_after_one_failure_is_caught() {
    is_caught(Mistake::RestOfBatchDropped);
}

#[test]
fn a_cursor_of_a_stopped_run_that_moves_is_caught() {
    is_caught(Mistake::CursorOfStoppedRunMoves);
}

#[test]
fn what_was_looked_for_and_not_found_and_is_not_due_again_is_caught() {
    is_caught(Mistake::NotFoundNotDueAgain);
}
