using System.Data.Common;
using System.Globalization;

namespace UPool.Cluster.Membership;

/// <summary>Checks whether tables exist.</summary>
internal static class SchemaCheck
{
    private const string Register = "upool_session";

    // Stored by the last statement of the last script that every silo needs: if it exists, so does the rest.
    private const string LastQuery = "DeleteStorageKey";

    /// <summary>The tables without which a silo cannot join.</summary>
    public static IReadOnlyList<string> ClusterTables { get; } =
        ["OrleansQuery", "upool_member", "upool_member_version", "upool_grain_state"];

    // The tables of the ledger, and the register of sessions.
    private static readonly string[] BudgetTables = ["OrleansQuery", "upool_grain_state", Register];

    /// <summary>The tables that a silo needs.</summary>
    /// <param name="isClustered">Whether its membership is in the database.</param>
    /// <param name="withBudget">Whether there is a budget.</param>
    public static IReadOnlyList<string> Tables(bool isClustered, bool withBudget) =>
        (isClustered, withBudget) switch
        {
            (true, true) => [.. ClusterTables, Register],
            (true, false) => ClusterTables,
            (false, true) => BudgetTables,
            (false, false) => [],
        };

    /// <summary>The problem that keeps a silo from joining; null if there is none.</summary>
    /// <exception cref="DbException">The database cannot be reached or refuses the account.</exception>
    public static async Task<string?> ProblemAsync(
        DbDataSource dataSource, IReadOnlyList<string> tables, CancellationToken cancellationToken)
    {
        List<string> missing = await MissingAsync(dataSource, tables, cancellationToken);
        if (missing.Count > 0) return Describe(missing);

        await using DbConnection connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = $"SELECT COUNT(*) FROM OrleansQuery WHERE QueryKey = '{LastQuery}'";
        object? count = await command.ExecuteScalarAsync(cancellationToken);
        return Convert.ToInt64(count, CultureInfo.InvariantCulture) > 0
            ? null
            : "The schema is being applied, or its last application failed: apply it with 'UPool.Silo --migrate'.";
    }

    /// <summary>The tables that are missing.</summary>
    /// <exception cref="DbException">The database cannot be reached or refuses the account.</exception>
    public static async Task<List<string>> MissingAsync(
        DbDataSource dataSource, IEnumerable<string> tables, CancellationToken cancellationToken)
    {
        await using DbConnection connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using DbCommand command = connection.CreateCommand();
        command.CommandText =
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = @name";
        DbParameter parameter = command.CreateParameter();
        parameter.ParameterName = "@name";
        command.Parameters.Add(parameter);

        var missing = new List<string>();
        foreach (string table in tables)
        {
            parameter.Value = table;
            object? count = await command.ExecuteScalarAsync(cancellationToken);
            if (Convert.ToInt64(count, CultureInfo.InvariantCulture) == 0) missing.Add(table);
        }

        return missing;
    }

    /// <summary>The problem text for missing tables.</summary>
    public static string Describe(IReadOnlyCollection<string> missing) =>
        $"The database lacks {(missing.Count == 1 ? "the table" : "the tables")} {string.Join(", ", missing)}: apply "
        + $"the schema with 'UPool.Silo --migrate', or set {UPoolClusterOptions.Section}:MigrateAtStart.";

    /// <summary>The public problem text for a schema that could not be applied.</summary>
    public const string CannotBeApplied = "The schema could not be applied: the log of this process says why.";
}
