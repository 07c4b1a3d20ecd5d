//! Converts the filter options into a query.

use mixpanel_data::{IncludeUsers, ProfileQuery};

use crate::cli::FilterArgs;
use crate::failure::Failure;

/// Builds a query from the filters.
pub(super) fn query(filters: &FilterArgs) -> Result<ProfileQuery, Failure> {
    let properties = filters
        .output_properties
        .iter()
        .map(|list| split_list(list, "--output-properties"))
        .collect::<Result<Vec<_>, _>>()?;
    let properties = properties.concat();
    if properties.is_empty() && !filters.output_properties.is_empty() {
        return Err(Failure::usage("`--output-properties` names no property").hint("leave it out to fetch all"));
    }
    Ok(ProfileQuery {
        where_: filters.filter.clone(),
        cohort_id: filters.cohort.clone(),
        output_properties: (!properties.is_empty()).then_some(properties),
        distinct_id: filters.distinct_id.clone(),
        distinct_ids: (!filters.distinct_ids.is_empty()).then(|| filters.distinct_ids.clone()),
        group_id: filters.group_id.clone(),
        behaviors: filters.behaviors.clone(),
        as_of_timestamp: filters.as_of_timestamp,
        include_all_users: if filters.include_all_users { IncludeUsers::All } else { IncludeUsers::WithProfile },
        page_size: None,
        since: None,
        limit: None,
    })
}

/// Builds a query from the filters, if there are any.
pub(super) fn query_if_given(filters: &FilterArgs) -> Result<Option<ProfileQuery>, Failure> {
    let query = query(filters)?;
    Ok((query != ProfileQuery::default()).then_some(query))
}

/// Splits names at commas. A name in double quotes may contain commas, and `""` stands for a quote.
/// `option` names their option in an error.
pub(super) fn split_list(list: &str, option: &str) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut quoted = false;
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                name.push('"');
            }
            '"' if quoted || name.trim().is_empty() => quoted = !quoted,
            ',' if !quoted => names.push(std::mem::take(&mut name)),
            other => name.push(other),
        }
    }
    if quoted {
        return Err(Failure::usage(format!("`{option}` has an unclosed quote"))
            .hint("write a name with a comma as \"a,b\", and double a quote inside it"));
    }
    names.push(name);
    Ok(names.into_iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn lists_are_split_at_commas_outside_quotes() {
        let table: [(&str, &[&str]); 6] = [
            ("plan", &["plan"]),
            ("plan, $email ,", &["plan", "$email"]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"say \"\"hi\"\", you\"", &["say \"hi\", you"]),
            ("5\" disk,x", &["5\" disk", "x"]),
            ("", &[]),
        ];
        for (list, names) in table {
            assert_eq!(split_list(list, "-o").expect(list), names, "{list}");
        }
        assert_eq!(split_list("\"a,b", "-o").expect_err("an open quote").exit, Exit::Usage);
    }
}
