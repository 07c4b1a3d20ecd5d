{# Creates the view `mixpanel.event`: the events of `mp fetch events` with the names of Fivetran's connector. #}
{# dbt runs it before every run (`on-run-start` in dbt_project.yml), because the package reads the view as a source. #}
{% macro create_mixpanel_event() %}
CREATE OR REPLACE VIEW {{ adapter.quote(target.database) }}.mixpanel.event AS
{{ mixpanel_event() }}
{% endmacro %}

{% macro mixpanel_event() %}
SELECT
    event_name AS name,
    event_time AS time,
    distinct_id,
    insert_id,
    properties,
    try_cast(json_extract_string(properties, '$."mp_processing_time_ms"') AS BIGINT) AS mp_processing_time_ms,
    FETCHED_AT AS _fivetran_synced,
    json_extract_string(properties, '$."$ae_session_length"') AS ae_session_length,
    json_extract_string(properties, '$."$app_build_number"') AS app_build_number,
    json_extract_string(properties, '$."$app_version_string"') AS app_version_string,
    try_cast(json_extract_string(properties, '$."$bluetooth_enabled"') AS BOOLEAN) AS bluetooth_enabled,
    json_extract_string(properties, '$."$bluetooth_version"') AS bluetooth_version,
    json_extract_string(properties, '$."$brand"') AS brand,
    json_extract_string(properties, '$."$browser"') AS browser,
    try_cast(json_extract_string(properties, '$."$browser_version"') AS DOUBLE) AS browser_version,
    json_extract_string(properties, '$."$carrier"') AS carrier,
    json_extract_string(properties, '$."$city"') AS city,
    json_extract_string(properties, '$."$current_url"') AS current_url,
    json_extract_string(properties, '$."$device"') AS device,
    json_extract_string(properties, '$."$device_id"') AS device_id,
    json_extract_string(properties, '$."$distinct_id_before_identity"') AS distinct_id_before_identity,
    json_extract_string(properties, '$."$google_play_services"') AS google_play_services,
    try_cast(json_extract_string(properties, '$."$has_nfc"') AS BOOLEAN) AS has_nfc,
    try_cast(json_extract_string(properties, '$."$has_telephone"') AS BOOLEAN) AS has_telephone,
    json_extract_string(properties, '$."$initial_referrer"') AS initial_referrer,
    json_extract_string(properties, '$."$initial_referring_domain"') AS initial_referring_domain,
    json_extract_string(properties, '$."$lib_version"') AS lib_version,
    json_extract_string(properties, '$."$manufacturer"') AS manufacturer,
    json_extract_string(properties, '$."$model"') AS model,
    json_extract_string(properties, '$."mp_country_code"') AS mp_country_code,
    json_extract_string(properties, '$."mp_keyword"') AS mp_keyword,
    json_extract_string(properties, '$."mp_lib"') AS mp_lib,
    json_extract_string(properties, '$."$os"') AS os,
    json_extract_string(properties, '$."$os_version"') AS os_version,
    json_extract_string(properties, '$."$radio"') AS radio,
    json_extract_string(properties, '$."$referrer"') AS referrer,
    json_extract_string(properties, '$."$referring_domain"') AS referring_domain,
    json_extract_string(properties, '$."$region"') AS region,
    try_cast(json_extract_string(properties, '$."$screen_dpi"') AS BIGINT) AS screen_dpi,
    try_cast(json_extract_string(properties, '$."$screen_height"') AS BIGINT) AS screen_height,
    try_cast(json_extract_string(properties, '$."$screen_width"') AS BIGINT) AS screen_width,
    json_extract_string(properties, '$."$search_engine"') AS search_engine,
    try_cast(json_extract_string(properties, '$."$wifi"') AS BOOLEAN) AS wifi
FROM main.TABLE_NAME
{% endmacro %}
