-- Law 1: records read below the stored offset = stored + duplicates + quarantined, for each partition of each log.
-- One row: how many chunks were checked, and a sentence for each violation. Chunks must tile the offsets from the first
-- to the stored one; what they say was stored must be in the ledger, or among the copies that were taken out again.
-- Flags of guardrails count with their events: as many as the chunks say, each beside the event of its record or a copy.
with tiled as (
  select log_id, partition, first_offset, next_offset,
         coalesce(lag(next_offset) over (partition by log_id, partition order by first_offset), 0) as expected_first
  from stream_chunk
), chunk_total as (
  select log_id, partition, max(next_offset) as reached, sum(records) as records, sum(stored) as stored,
         sum(duplicates) as duplicates, sum(quarantined) as quarantined, sum(flagged) as flagged
  from stream_chunk group by log_id, partition
), event_total as (
  select log_id, partition, count(*) as events from usage_event group by log_id, partition
), quarantine_total as (
  select log_id, partition, count(*) filter (where code = 'duplicate_other_time') as taken_out,
         count(*) filter (where code <> 'duplicate_other_time') as quarantined
  from quarantine group by log_id, partition
), flag_total as (
  select log_id, partition, count(*) as flagged from usage_flag group by log_id, partition
), violation as (
  select format('log %s, partition %s: the chunk at %s should begin at %s', log_id, partition, first_offset,
                expected_first) as sentence
  from tiled where first_offset <> expected_first
  union all
  select format('log %s, partition %s: the stored offset is %s, its chunks reach %s', o.log_id, o.partition,
                o.next_offset, coalesce(c.reached, 0))
  from stream_offset o left join chunk_total c using (log_id, partition)
  where o.next_offset <> coalesce(c.reached, 0)
  union all
  select format('log %s, partition %s: %s records were read, but stored %s + duplicates %s + quarantined %s = %s',
                log_id, partition, records, stored, duplicates, quarantined, stored + duplicates + quarantined)
  from chunk_total where records <> stored + duplicates + quarantined
  union all
  select format('log %s, partition %s: chunks stored %s events, the ledger holds %s and %s copies were taken out',
                coalesce(c.log_id, e.log_id), coalesce(c.partition, e.partition), coalesce(c.stored, 0),
                coalesce(e.events, 0), coalesce(q.taken_out, 0))
  from chunk_total c
  full join event_total e using (log_id, partition)
  left join quarantine_total q using (log_id, partition)
  where coalesce(c.stored, 0) <> coalesce(e.events, 0) + coalesce(q.taken_out, 0)
  union all
  select format('log %s, partition %s: chunks quarantined %s records, the quarantine holds %s', c.log_id, c.partition,
                c.quarantined, coalesce(q.quarantined, 0))
  from chunk_total c left join quarantine_total q using (log_id, partition)
  where c.quarantined <> coalesce(q.quarantined, 0)
  union all
  select format('log %s, partition %s: chunks stored %s events with flags, %s have theirs', coalesce(c.log_id, f.log_id),
                coalesce(c.partition, f.partition), coalesce(c.flagged, 0), coalesce(f.flagged, 0))
  from chunk_total c full join flag_total f using (log_id, partition)
  where coalesce(c.flagged, 0) <> coalesce(f.flagged, 0)
  union all
  select format('log %s, partition %s, offset %s: flags without the event that they belong to', f.log_id, f.partition,
                f.kafka_offset)
  from usage_flag f
  where not exists (select from usage_event e
                    where e.event_key = f.event_key and e.log_id = f.log_id and e.partition = f.partition
                      and e.kafka_offset = f.kafka_offset)
    and not exists (select from quarantine q
                    where q.code = 'duplicate_other_time' and q.event_key = f.event_key and q.log_id = f.log_id
                      and q.partition = f.partition and q.kafka_offset = f.kafka_offset)
)
select (select count(*) from stream_chunk) as checked,
       coalesce((select array_agg(sentence order by sentence) from violation), '{}') as violations
