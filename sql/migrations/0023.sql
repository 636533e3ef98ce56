-- A bill of a million lines goes in within seconds. Each line had a foreign key that was checked one by one at the end of
-- the transaction: it goes. What the key held, that every line lies on a day which its import says that it covers, is
-- checked for all lines of an import at once, by the same end of the transaction. (The index by day stays: without it each
-- day of a month reads the whole import.)
-- A line that is added to an older import on another day is seen by nothing: invoice_line_current joins the days.

alter table invoice_line drop constraint invoice_line_import_id_day_fkey;

create function lines_lie_on_covered_days() returns trigger
  language plpgsql
as $$
declare stray record;
begin
  select l.import_id, l.number, l.day into stray
    from invoice_line l
    where l.import_id = new.id and not exists (select from invoice_day d where (d.import_id, d.day) = (l.import_id, l.day))
    limit 1;
  if found then
    raise foreign_key_violation using message = format(
      'line %s of import %s lies on %s, which the import does not cover', stray.number, stray.import_id, stray.day);
  end if;
  return null;
end $$;
create constraint trigger lines_lie_on_covered_days after insert on invoice_import
  deferrable initially deferred for each row execute function lines_lie_on_covered_days();
revoke execute on function lines_lie_on_covered_days() from public;
