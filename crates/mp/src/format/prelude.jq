def leaf_paths: paths(scalars);
def ascii: [.] | implode;
def toarray: if isarray then . else [.] end;
def trimstr($s): ltrimstr($s) | rtrimstr($s);
def date: todate;

def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] = $row);
def INDEX(f): INDEX(.[]; f);

def replace_all($from; $to): split($from) | join($to);
def delimited(text; $name; $delimiter):
  if isarray then
    [.[]
      | if isstring then text
        elif . == null then ""
        elif isnumber or isboolean then tostring
        else error("\(type) (\(tojson)) is not valid in a \($name) row") end]
    | join($delimiter)
  else error("\(type) (\(tojson)) cannot be \($name)-formatted, only an array can be") end;
def @csv: delimited("\"" + replace_all("\""; "\"\"") + "\""; "csv"; ",");
def @tsv: delimited(
  replace_all("\\"; "\\\\") | replace_all("\t"; "\\t") | replace_all("\r"; "\\r") | replace_all("\n"; "\\n");
  "tsv"; "\t");
