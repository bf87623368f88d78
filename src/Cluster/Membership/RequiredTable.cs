using System.Data.Common;

namespace UPool.Cluster.Membership;

/// <summary>A table that the application needs; registered as a singleton. While it is missing, the health endpoints
/// and the log report it.</summary>
/// <param name="Name">The name, as the database writes it.</param>
/// <param name="LookAsync">Checks whether the table, which another program may have created, supports what the
/// application promises; null if any table of that name will do. Not called for the embedded database.</param>
public sealed record RequiredTable(
    string Name, Func<DbConnection, CancellationToken, Task<TableFindings>>? LookAsync = null);

/// <summary>The shortcomings of a table, one line each, with the column and the remedy.</summary>
/// <param name="Problems">The reasons why the application cannot serve it at all: shown by the health endpoints until
/// they are resolved.</param>
/// <param name="Limits">The parts of the application's promise that the table does not support: logged once.</param>
public sealed record TableFindings(IReadOnlyList<string> Problems, IReadOnlyList<string> Limits);
