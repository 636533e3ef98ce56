-- Mappings that people bring for invoices of no known shape. A mapping's bytes are kept as a file's are, addressed by what
-- they are, so that a re-read and a replay read the file as it was read then.
alter table invoice_import add column mapping_sha256 text references invoice_content;
alter table invoice_import add constraint invoice_import_mapping
  check ((format like 'generic.%') = (mapping_sha256 is not null));
