using System.Data.Common;

namespace UPool.Cluster.Membership;

/// <summary>A table that the application cannot do without; registered as a singleton. While it is missing the health
/// endpoints and the log say so.</summary>
/// <param name="Name">The name, as the database writes it.</param>
/// <param name="LookAsync">Looks whether the table, which somebody else may have made, can do what the application
/// promises; null when any table of that name will do. Not called for the embedded database.</param>
public sealed record RequiredTable(
    string Name, Func<DbConnection, CancellationToken, Task<TableFindings>>? LookAsync = null);

/// <summary>What a table cannot do, one plain line each, with the column and the cure.</summary>
/// <param name="Problems">Why the application cannot serve it at all: shown by the health endpoints until they are
/// over.</param>
/// <param name="Limits">What it does not do of what the application promises: logged once.</param>
public sealed record TableFindings(IReadOnlyList<string> Problems, IReadOnlyList<string> Limits);
