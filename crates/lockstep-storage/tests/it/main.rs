//! The storage suite: the same bodies on SQLite, PostgreSQL and MariaDB, each test in a database of its
//! own. The servers are started by `cargo xtask test`, which says where they are.

mod cases;
mod files;
mod place;

macro_rules! on_each_database {
    ($($module:ident: $($name:ident),+;)+) => {
        on_each_database!(@ on_sqlite Sqlite; $($module: $($name),+;)+);
        on_each_database!(@ on_postgres Postgres; $($module: $($name),+;)+);
        on_each_database!(@ on_mariadb Mariadb; $($module: $($name),+;)+);
    };
    (@ $on:ident $kind:ident; $($module:ident: $($name:ident),+;)+) => {
        mod $on {
            $(mod $module {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $name() {
                        let place = crate::place::Place::new(crate::place::Kind::$kind).await;
                        crate::cases::$module::$name(&place).await;
                        place.remove().await;
                    }
                )+
            })+
        }
    };
}

on_each_database! {
    opening:
        opening_again_finds_everything,
        another_key_is_refused,
        a_lost_key_is_refused,
        several_coordinators_may_start_at_once,
        a_restore_raises_the_incarnation;
    texts:
        keys_compare_with_case_and_spaces,
        texts_beyond_64_kb_are_whole,
        bytes_beyond_64_kb_are_whole,
        wildcards_in_a_search_are_letters,
        a_nul_and_an_emoji_do_no_harm;
    tail:
        whoever_sees_a_number_has_seen_all_before_it,
        a_change_that_was_none_tells_nobody,
        the_tail_says_what_changed;
    enrolling:
        a_key_waits_for_its_code_and_then_gets_one_token,
        five_wrong_codes_reject,
        no_more_wait_than_may,
        s6_strangers_do_not_shut_out_who_holds_a_join_token,
        s6_a_rejected_key_frees_its_place_and_stays_refused,
        a_rejected_or_late_worker_gets_nothing,
        a_join_token_confirms_as_often_as_it_says,
        two_who_confirm_at_once_make_one_worker,
        a_suspended_workers_token_is_void;
    settings:
        an_edit_has_a_new_revision_and_an_unchanged_one_has_not,
        of_two_edits_at_once_one_is_refused,
        secrets_are_sealed_and_kept,
        unsound_settings_are_not_saved,
        a_renewed_credential_is_compared_and_set,
        a_deleted_customer_leaves_its_worker,
        customers_are_listed_and_found;
    journal:
        segments_are_accepted_in_order_and_once,
        an_old_epoch_is_refused,
        r1_a_chain_that_extends_a_restored_head_is_taken_from_its_owner,
        a_large_segment_lies_beside,
        of_two_segments_at_once_one_stands,
        a_move_waits_and_a_take_over_does_not,
        nobodys_customer_takes_no_segment;
    work:
        wakes_count_and_are_acted_on,
        the_first_answer_counts,
        runs_are_shown_as_last_reported,
        a_run_that_never_ended_is_over_when_its_lane_goes_on,
        runs_of_all_customers_are_one_list,
        what_a_worker_applied_is_known,
        search_finds_keys_before_titles,
        an_alert_is_raised_once_until_it_is_cleared,
        an_erasure_waits_until_it_is_done_and_then_says_of_whom_no_more;
    logins:
        s7_a_password_is_checked_however_many_wrong_ones_came_before,
        s10_a_login_is_switched_off_and_taken_away,
        s10_what_is_open_is_listed_and_ended,
        a_session_ends;
}
