-- A gateway guardrail's verdicts as flags of events (contract.md, section 1): words of a fixed list, never content.
--
-- A row stands beside an event that has flags, written in the transaction that writes the event, under the record that
-- brought it: a copy is left out of both. Most events have none and pay nothing. Who it is counted for follows the
-- event's payer, so that a change of the roster moves the counts with the sums.
create table usage_flag (
  log_id smallint not null,
  partition integer not null,
  kafka_offset bigint not null,
  event_key uuid not null,
  flags text[] not null check (cardinality(flags) between 1 and 16),
  primary key (log_id, partition, kafka_offset)
);
create index usage_flag_event on usage_flag (event_key);

-- How many events with flags a chunk stored: law 1 holds them against the rows above.
alter table stream_chunk add column flagged integer not null default 0 check (flagged between 0 and stored);

-- Flags of the events that the ledger holds; a copy that was taken out of it has left here too.
create view usage_flag_named as
  select e.time, y.department, y."user", y.key, r.source, r.model, r.status, f.flags, e.event_key
  from usage_flag f
  join usage_event e on e.event_key = f.event_key and e.log_id = f.log_id and e.partition = f.partition
                    and e.kafka_offset = f.kafka_offset
  join route r on r.id = e.route_id
  join payer y on y.id = e.payer_id;

grant select on usage_flag, usage_flag_named to jangbu_worker, jangbu_billing, jangbu_reader;
grant insert on usage_flag to jangbu_worker;
