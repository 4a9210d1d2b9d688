/* Tasks for people: one builder that holds us to what we promise a person, and the evidence that people's acts leave.
 *
 * A task says who, what, at most six numbered actions in plain words, one link, what will be checked, the worst case
 * and how to take it back, and when it is due. The machine looks before it asks and again each time it wakes: a
 * person's "done" is believed only where AWS cannot be read. A task's text must come out equal on every entry: no
 * times, no counters. */
#pragma once

#include "worker/step.h"

#define HUMAN_ACTIONS_MAX 6

struct human_task {
    const char *party; /* "customer", "operator" or "customer+operator" */
    const char *title;
    const char *actions[HUMAN_ACTIONS_MAX]; /* filled from the front; whole sentences */
    const char *link;                       /* https, the page where the work is done */
    const char *check;                      /* what the machine looks at */
    const char *notice;                     /* NULL, or what it found just now; shown before `check` */
    const char *worst, *undo;
    uint32_t due_hours;
    uint64_t opened_ms;                                  /* from human_opened() */
    const char *input_key, *input_label, *input_pattern; /* NULL: nothing is typed in */
    bool attest;                                         /* a person's word is all there is, or part of it */
    bool second_person;                                  /* a second name is wanted with it */
    json_t *data;                                        /* for scripts; taken; may be NULL */
};

/* When this task was opened first: durable. Events before it prove nothing. */
uint64_t human_opened(struct step *s);
/* Opens the task, or keeps it open. Asserts the bounds above. Never DONE. */
enum step_result human_ask(struct step *s, const struct human_task *task);

/* The latest event of one of `names` (comma list) by `user_type` ("" anybody) at or after `since_ms`; NULL when none.
 */
const json_t *human_event(const json_t *events, const char *names, const char *user_type, uint64_t since_ms);
/* What is kept of an event as evidence: {event_id, name, source, at_ms, user_type, ip, hash}. New reference. */
json_t *human_evidence(const json_t *event);
/* The "done" signal when it carries a name and a note and was given at or after `since_ms`; NULL otherwise. */
const json_t *human_word(const struct step *s, uint64_t since_ms);
/* Leaves {by, note, second_person?, at_ms} under "attested" and gives the grade that fits. */
void human_take_word(struct step *s, const json_t *word);

/* Root's virtual MFA devices out of iam_list_virtual_mfa_devices' facts, sorted serials. New reference. */
json_t *human_root_devices(const json_t *facts);
/* The value "root" of section iam.account in fingerprint_before's result: {mfa, access_keys, devices}. */
const json_t *human_root_before(const json_t *fingerprint_before);
/* When that fingerprint was begun: what happened before it is in it. */
uint64_t human_taken_ms(const json_t *fingerprint_before);
/* Addresses are compared without regard to the case of ASCII letters, as AWS does. */
bool human_is_same_email(const char *a, const char *b);
/* Milliseconds from `at_ms` until the next staffed minute; 0 inside one or when `staffed` is absent. */
uint64_t human_staffed_wait(const json_t *staffed, uint64_t at_ms);
