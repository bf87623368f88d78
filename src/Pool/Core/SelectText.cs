using System.Collections.Frozen;

namespace UPool.Core;

/// <summary>Whether a SELECT only reads. In doubt the answer is no.</summary>
internal static class SelectText
{
    // Words that may stand before a parenthesis and write nothing: keywords, and the functions in daily use. A user's
    // own function can have one of these names only after the name of its database.
    private static readonly FrozenSet<string> Harmless = FrozenSet.ToFrozenSet(
    [
        "ALL", "AND", "ANY", "AS", "BETWEEN", "BY", "CASE", "DISTINCT", "DIV", "ELSE", "EXCEPT", "EXISTS", "FROM",
        "HAVING", "IN", "INDEX", "INTERSECT", "INTERVAL", "IS", "JOIN", "KEY", "LIKE", "LIMIT", "MOD", "NOT", "OFFSET",
        "ON", "OR", "OVER", "PARTITION", "ROW", "SELECT", "SOME", "THEN", "UNION", "USING", "VALUES", "WHEN", "WHERE",
        "XOR",
        "ABS", "AVG", "BIN_TO_UUID", "CAST", "CEIL", "CEILING", "CHAR", "CHARACTER_LENGTH", "CHAR_LENGTH", "COALESCE",
        "CONCAT", "CONCAT_WS", "CONNECTION_ID", "CONVERT", "COUNT", "CURDATE", "CURRENT_DATE", "CURRENT_TIMESTAMP",
        "DATABASE", "DATE", "DATEDIFF", "DATE_ADD", "DATE_FORMAT", "DATE_SUB", "DAY", "DENSE_RANK", "FIELD",
        "FIND_IN_SET", "FIRST_VALUE", "FLOOR", "FOUND_ROWS", "FROM_UNIXTIME", "GREATEST", "GROUP_CONCAT", "HEX", "HOUR",
        "IF", "IFNULL", "INSTR", "JSON_ARRAY", "JSON_ARRAYAGG", "JSON_CONTAINS", "JSON_EXTRACT", "JSON_LENGTH",
        "JSON_OBJECT", "JSON_OBJECTAGG", "JSON_UNQUOTE", "JSON_VALUE", "LAG", "LAST_INSERT_ID", "LAST_VALUE", "LCASE",
        "LEAD", "LEAST", "LEFT", "LENGTH", "LOCATE", "LOWER", "LPAD", "LTRIM", "MATCH", "MAX", "MD5", "MIN", "MINUTE",
        "MONTH", "NOW", "NTILE", "NULLIF", "POW", "POWER", "RAND", "RANK", "REPLACE", "REVERSE", "RIGHT", "ROUND",
        "ROW_COUNT", "ROW_NUMBER", "RPAD", "RTRIM", "SCHEMA", "SECOND", "SHA1", "SHA2", "SIGN", "SLEEP", "SUBSTR",
        "SUBSTRING", "SUBSTRING_INDEX", "SUM", "TIME", "TIMESTAMP", "TIMESTAMPDIFF", "TRIM", "TRUNCATE", "UCASE",
        "UNHEX", "UNIX_TIMESTAMP", "UPPER", "USER", "UTC_TIMESTAMP", "UUID", "UUID_TO_BIN", "VERSION", "WEEK", "YEAR",
    ],
    StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> Words =
        Harmless.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Whether the text, one SELECT, calls no function that may write, takes no value from a sequence and
    /// writes no file.</summary>
    public static bool OnlyReads(string text)
    {
        var scanner = new SqlScanner(text);
        var before = SqlToken.End;

        // Whether the last word may be called; and whether it follows a point, which makes it a user's own function.
        bool isHarmless = true;
        bool isBehindPoint = false;
        while (true)
        {
            SqlToken token = scanner.Next();
            switch (token)
            {
                case SqlToken.End:
                    return !scanner.IsAmbiguous;
                case SqlToken.Word when Writes(in scanner):
                    return false;
                case SqlToken.Word:
                    isHarmless = !isBehindPoint && Words.Contains(scanner.Word);
                    break;
                case SqlToken.Quoted:
                    isHarmless = scanner.Symbol == '\'';
                    break;
                case SqlToken.Other when scanner.Symbol == '(' && before is SqlToken.Word or SqlToken.Quoted
                    && !isHarmless:
                    return false;
            }

            isBehindPoint = token == SqlToken.Other && scanner.Symbol == '.';
            before = token;
        }
    }

    // SELECT … INTO OUTFILE; NEXT VALUE FOR a sequence.
    private static bool Writes(in SqlScanner scanner) =>
        scanner.Is("OUTFILE") || scanner.Is("DUMPFILE") || scanner.Is("NEXT");
}
