using System.Data.Common;

namespace UPool.Grains;

/// <summary>
/// Rows of id and name, of a table that somebody else may have made. By position and type rather than mapped: an id may
/// be INT or UNSIGNED, and the driver converts those.
/// </summary>
internal static class UserRows
{
    /// <summary>Whether the driver gives the columns as a whole number and a text; else the server must convert them,
    /// see <see cref="UserStatements.Converted"/>.</summary>
    /// <exception cref="InvalidOperationException">The ids are no whole numbers at all; the start has said so, see
    /// <see cref="UserTable"/>.</exception>
    public static bool AreReadable(DbDataReader rows)
    {
        Type id = rows.GetFieldType(0);

        // A TINYINT(1) would be read as a truth value, and every id be 1.
        if (id == typeof(bool)) return false;
        if (id == typeof(decimal) || (id.IsPrimitive && id != typeof(double) && id != typeof(float)))
            return rows.GetFieldType(1) == typeof(string);

        throw new InvalidOperationException("The column tb1.id holds no whole numbers.");
    }

    /// <summary>The id of the present row.</summary>
    /// <exception cref="InvalidOperationException">It is no whole number.</exception>
    public static long IdOf(DbDataReader rows)
    {
        if (rows.GetFieldType(0) == typeof(decimal) && rows.GetDecimal(0) is var id && id != decimal.Truncate(id))
            throw new InvalidOperationException("The column tb1.id holds a number that is not whole.");

        return rows.GetInt64(0);
    }

    /// <summary>The name of the present row; empty when there is none.</summary>
    public static string NameOf(DbDataReader rows) => rows.IsDBNull(1) ? "" : rows.GetString(1);

    /// <summary>The user of the present row.</summary>
    public static User UserOf(DbDataReader rows) => new(IdOf(rows), NameOf(rows));
}
