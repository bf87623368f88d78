using System.Data.Common;
using UPool.Cluster.Workers;

namespace UPool.Grains;

/// <summary>Classifies the server's errors of writes to <c>tb1</c>.</summary>
internal static class UserErrors
{
    // Too long; not in the column's character set; a violated CHECK on MariaDB and on MySQL.
    private static readonly int[] NameErrors = [1406, 1366, 4025, 3819];

    // No such column; no such table; a column without a value; a generated column on MariaDB and on MySQL.
    private static readonly int[] WriteErrors = [1054, 1146, 1364, 1906, 3105];

    /// <summary>The column or a rule of the table rejects the name, the only value that an INSERT or UPDATE
    /// sets.</summary>
    public static bool IsNameError(DbException exception) => NameErrors.Contains(DatabaseError.NumberOf(exception));

    /// <summary>
    /// The error can only come from the INSERT or UPDATE of a script that also reads the row, so nothing was changed.
    /// Classes of SQLSTATE: 22 a value, 23 a constraint, 45 a trigger that refuses.
    /// </summary>
    public static bool IsWriteError(DbException exception) =>
        exception.SqlState is ['2', '2' or '3', ..] or ['4', '5', ..]
        || WriteErrors.Contains(DatabaseError.NumberOf(exception));
}
