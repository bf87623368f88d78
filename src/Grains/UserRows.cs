using System.Data.Common;

namespace UPool.Grains;

/// <summary>
/// Reads rows of id and name, possibly of a table that another program created. By position and type rather than
/// mapped: an id may be INT or UNSIGNED, and the driver converts those.
/// </summary>
internal static class UserRows
{
    /// <summary>Whether the driver returns the columns as a whole number and a text; if not, the server must convert
    /// them, see <see cref="UserStatements.Converted"/>.</summary>
    /// <exception cref="InvalidOperationException">The ids are no whole numbers; the start has already reported it, see
    /// <see cref="UserTable"/>.</exception>
    public static bool AreReadable(DbDataReader rows)
    {
        Type id = rows.GetFieldType(0);

        // The driver reads a TINYINT(1) as a Boolean: every id would be 1.
        if (id == typeof(bool)) return false;
        if (id == typeof(decimal) || (id.IsPrimitive && id != typeof(double) && id != typeof(float)))
            return rows.GetFieldType(1) == typeof(string);

        throw new InvalidOperationException("The column tb1.id holds no whole numbers.");
    }

    /// <summary>The id of the current row.</summary>
    /// <exception cref="InvalidOperationException">The id is no whole number.</exception>
    public static long IdOf(DbDataReader rows)
    {
        if (rows.GetFieldType(0) == typeof(decimal) && rows.GetDecimal(0) is var id && id != decimal.Truncate(id))
            throw new InvalidOperationException("The column tb1.id holds a number that is not whole.");

        return rows.GetInt64(0);
    }

    /// <summary>The name of the current row; empty if it is NULL.</summary>
    public static string NameOf(DbDataReader rows) => rows.IsDBNull(1) ? "" : rows.GetString(1);

    /// <summary>The user of the current row.</summary>
    public static User UserOf(DbDataReader rows) => new(IdOf(rows), NameOf(rows));
}
