using System.Collections.Frozen;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>
/// Finds the statements of a pool that may leave part of their work stored when they fail: those that reach a table
/// whose engine has no transactions (MyISAM, Aria, MEMORY). Asked only after a failure.
/// </summary>
/// <remarks>
/// A name counts as reached if it occurs anywhere in the text. If there are such tables, views, stored functions and
/// tables with triggers count too, because they may lead to them. A table that is reached through one of those, in a
/// database that the text does not name, is not found.
/// </remarks>
internal sealed class TablesWithoutTransactions(TimeProvider clock)
{
    // As long as UserGrain keeps the description of its table: engines change seldom, and failed statements come in
    // bursts.
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(60);

    // The number of sets of databases that the texts name; most pools have one.
    private const int MaxKnown = 16;

    // The databases that one text may name; a name before a dot counts as one.
    private const int MaxDatabases = 16;

    private readonly Lock _gate = new();

    // Guarded by _gate.
    private readonly Dictionary<string, Known> _known = new(StringComparer.Ordinal);

    /// <summary>Whether a failed statement may have left part of its work stored.</summary>
    public async Task<bool> MayBeReachedAsync(MySqlConnection connection, string text)
    {
        string[] databases = [await CurrentAsync(connection).ConfigureAwait(false), .. DatabasesIn(text)];
        if (databases.Length > MaxDatabases) return true;

        string key = string.Join('\0', databases);
        if (Find(key) is not { } names)
        {
            names = await ReadAsync(connection, databases).ConfigureAwait(false);
            Keep(key, names);
        }

        return names.Any(name => text.Contains(name, StringComparison.OrdinalIgnoreCase));
    }

    private static async Task<string> CurrentAsync(MySqlConnection connection)
    {
        using var command = new MySqlCommand("SELECT DATABASE()", connection);
        return await command.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false) as string ?? "";
    }

    // Most of these names are of tables, which does no harm.
    private static SortedSet<string> DatabasesIn(string text)
    {
        var names = new SortedSet<string>(StringComparer.Ordinal);
        var scanner = new SqlScanner(text);
        int start = 0;
        for (SqlToken token = scanner.Next(); token != SqlToken.End; token = scanner.Next())
        {
            if (token == SqlToken.Other && scanner.Symbol == '.')
            {
                string name = text[start..(scanner.At - 1)].Trim().Trim('`', '"');
                if (name.Length > 0) names.Add(name);
            }

            if (token is SqlToken.Word or SqlToken.Quoted) start = scanner.Start;
        }

        return names;
    }

    private static async Task<FrozenSet<string>> ReadAsync(MySqlConnection connection, string[] databases)
    {
        string list = string.Join(", ", databases.Select(static (_, i) => $"@d{i}"));
        const string OfTables = "t.TABLE_TYPE = 'BASE TABLE' AND t.TABLE_NAME <> 'upool_session'"
            + " AND COALESCE(e.TRANSACTIONS, 'NO') <> 'YES'";
        const string From = "FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e"
            + " ON e.ENGINE = t.ENGINE";
        HashSet<string> names = await NamesAsync(
            connection, databases, $"SELECT t.TABLE_NAME {From} WHERE t.TABLE_SCHEMA IN ({list}) AND {OfTables}")
            .ConfigureAwait(false);
        if (names.Count == 0) return [];

        names.UnionWith(await NamesAsync(
            connection, databases,
            $"SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA IN ({list})"
            + $" UNION SELECT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA IN ({list})"
            + " UNION SELECT ROUTINE_NAME FROM information_schema.ROUTINES"
            + $" WHERE ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_SCHEMA IN ({list})").ConfigureAwait(false));
        return names.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
    }

    private static async Task<HashSet<string>> NamesAsync(
        MySqlConnection connection, string[] databases, string text)
    {
        using var command = new MySqlCommand(text, connection);
        for (int i = 0; i < databases.Length; i++) command.Parameters.AddWithValue($"@d{i}", databases[i]);
        using MySqlDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        while (await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false)) names.Add(reader.GetString(0));
        return names;
    }

    private FrozenSet<string>? Find(string key)
    {
        lock (_gate)
        {
            return _known.TryGetValue(key, out Known? known) && clock.GetElapsedTime(known.ReadAt) < Lifetime
                ? known.Names
                : null;
        }
    }

    private void Keep(string key, FrozenSet<string> names)
    {
        lock (_gate)
        {
            if (_known.Count >= MaxKnown) _known.Clear();
            _known[key] = new Known(names, clock.GetTimestamp());
        }
    }

    private sealed record Known(FrozenSet<string> Names, long ReadAt);
}
