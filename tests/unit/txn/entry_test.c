#include "txn/entry.h"

#include <criterion/criterion.h>

static const struct txn_attempt attempt = {3, {4, 5, 6}, 7}, mark = {3, {4, 5, 6}, 2};
static const struct txn_age age = {8, 9, 10, 11};

/* Whatever is cut off or comes behind, an entry of a fixed shape is refused. */
static void expect_exact(enum torc_status (*read)(struct base_bytes bytes), const uint8_t *bytes,
                         size_t size)
{
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_eq(read(base_bytes_of(bytes, cut)), TORC_MALFORMED, "%zu", cut);
    cr_assert_eq(read(base_bytes_of(bytes, size)), TORC_OK);
}

static enum torc_status read_end(struct base_bytes bytes)
{
    struct txn_entry_end entry;
    return txn_entry_end_read(bytes, &entry);
}

static enum torc_status read_forget(struct base_bytes bytes)
{
    struct txn_attempt found;
    return txn_entry_forget_read(bytes, &found);
}

static enum torc_status read_prepare(struct base_bytes bytes)
{
    struct txn_entry_prepare entry;
    return txn_entry_prepare_read(bytes, &entry);
}

static enum torc_status read_commit(struct base_bytes bytes)
{
    struct txn_entry_commit entry;
    return txn_entry_commit_read(bytes, &entry);
}

static enum torc_status read_refuse(struct base_bytes bytes)
{
    struct txn_entry_refuse entry;
    return txn_entry_refuse_read(bytes, &entry);
}

/* Attempts are in the order of group, ballot and counter, and none of them is nothing. */
Test(entry, an_attempt_comes_back)
{
    uint8_t bytes[TXN_ATTEMPT_SIZE];
    struct txn_attempt found;
    txn_attempt_write(bytes, &attempt);
    cr_assert_eq(txn_attempt_read(bytes, &found), TORC_OK);
    cr_assert_eq(txn_attempt_compare(&found, &attempt), 0);
    cr_assert_gt(txn_attempt_compare(&attempt, &mark), 0);
    expect_exact(read_forget, bytes, sizeof(bytes));
    base_put_le64(bytes + 20, 0);
    cr_assert_eq(txn_attempt_read(bytes, &found), TORC_MALFORMED);
    txn_attempt_write(bytes, &attempt);
    base_put_le64(bytes + 4, 0);
    cr_assert_eq(txn_attempt_read(bytes, &found), TORC_MALFORMED);
}

/* A PREPARE carries the part as it is; its mark is of the same group. */
Test(entry, a_prepare_comes_back)
{
    uint8_t bytes[256];
    struct txn_entry_prepare entry = {attempt, mark, age, base_bytes_text("r")}, found;
    size_t size = txn_entry_prepare_write(&entry, bytes);
    cr_assert_eq(size, txn_entry_prepare_size(&entry));
    cr_assert_eq(txn_entry_prepare_read(base_bytes_of(bytes, size), &found), TORC_OK);
    cr_assert_eq(txn_attempt_compare(&found.mark, &mark), 0);
    cr_assert_eq(txn_age_compare(&found.age, &age), 0);
    cr_assert(base_bytes_equal(found.request, entry.request));
    expect_exact(read_prepare, bytes, size);
    bytes[TXN_ATTEMPT_SIZE]++;
    cr_assert_eq(txn_entry_prepare_read(base_bytes_of(bytes, size), &found), TORC_MALFORMED);
}

/* An END says one of two things. */
Test(entry, an_end_comes_back)
{
    uint8_t bytes[TXN_ENTRY_END_SIZE];
    struct txn_entry_end entry = {attempt, mark, TXN_ABORTED}, found;
    txn_entry_end_write(&entry, bytes);
    cr_assert_eq(txn_entry_end_read(base_bytes_of(bytes, sizeof(bytes)), &found), TORC_OK);
    cr_assert_eq(found.end, TXN_ABORTED);
    entry.end = TXN_COMMITTED;
    txn_entry_end_write(&entry, bytes);
    cr_assert_eq(txn_entry_end_read(base_bytes_of(bytes, sizeof(bytes)), &found), TORC_OK);
    cr_assert_eq(found.end, TXN_COMMITTED);
    expect_exact(read_end, bytes, sizeof(bytes));
    bytes[sizeof(bytes) - 1] = 2;
    cr_assert_eq(read_end(base_bytes_of(bytes, sizeof(bytes))), TORC_MALFORMED);
}

/* A COMMIT names groups that rise, with the coordinator's among them, and has an answer. */
Test(entry, a_commit_comes_back)
{
    uint8_t bytes[256], groups[8];
    base_put_le32(groups, 3);
    base_put_le32(groups + 4, 5);
    struct txn_entry_commit entry = {attempt, age, 12, base_bytes_of(groups, sizeof(groups)),
                                     base_bytes_text("a")};
    struct txn_entry_commit found;
    size_t size = txn_entry_commit_write(&entry, bytes);
    cr_assert_eq(size, txn_entry_commit_size(&entry));
    cr_assert_eq(txn_entry_commit_read(base_bytes_of(bytes, size), &found), TORC_OK);
    cr_assert_eq(found.vnode, 12);
    cr_assert(base_bytes_equal(found.groups, entry.groups));
    cr_assert(base_bytes_equal(found.answer, entry.answer));
    expect_exact(read_commit, bytes, size);
    base_put_le32(groups, 5);
    size = txn_entry_commit_write(&entry, bytes);
    cr_assert_eq(read_commit(base_bytes_of(bytes, size)), TORC_MALFORMED);
    base_put_le32(groups, 2);
    size = txn_entry_commit_write(&entry, bytes);
    cr_assert_eq(read_commit(base_bytes_of(bytes, size)), TORC_MALFORMED);
}

/* A REFUSE has an answer. */
Test(entry, a_refusal_comes_back)
{
    uint8_t bytes[128];
    struct txn_entry_refuse entry = {age, 12, base_bytes_text("a")}, found;
    size_t size = txn_entry_refuse_write(&entry, bytes);
    cr_assert_eq(size, txn_entry_refuse_size(&entry));
    cr_assert_eq(txn_entry_refuse_read(base_bytes_of(bytes, size), &found), TORC_OK);
    cr_assert_eq(txn_age_compare(&found.age, &age), 0);
    cr_assert_eq(found.vnode, 12);
    expect_exact(read_refuse, bytes, size);
}
