using System.Data.Common;

using MySqlConnector;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Look-ups by text on the real server, whose collation decides which spellings are one key.</summary>
public sealed class SpelledLookupTests : OnSharedServer
{
    // Ignores case, accents and trailing spaces, on every server.
    private const string Folding = "utf8mb4_unicode_ci";

    [Theory]
    [InlineData(Folding)]
    [InlineData("utf8mb4_general_ci")]
    [InlineData("utf8mb4_bin")]
    public async Task AskMany_SpelledInManyWays_AnswersWhatEachAloneIsAnswered(string collation)
    {
        PooledDataSource pool = Fixture.CreatePool(static o => o.MaxConnections = 2);
        string[] keys =
            ["ann", "ANN", "änn", "ann  ", " ann", "bob", "BÖB", "nobody", "straße", "STRASSE", "émile", "Emile", ""];
        SharedLookup<string, string> lookup = await MakeAsync(pool, "names_" + collation, collation);
        string?[] alone = new string?[keys.Length];
        await using (PooledConnection connection = (await pool.RentAsync()).GetConnectionOrThrow())
        {
            for (int i = 0; i < keys.Length; i++)
            {
                await using DbCommand command = connection.CreateCommand();
                command.CommandText = $"SELECT v FROM names_{collation} WHERE name = @name";
                command.Parameters.Add(new MySqlParameter("@name", keys[i]));
                alone[i] = (string?)await command.ExecuteScalarAsync();
            }
        }

        Assert.Equal(alone, (await lookup.AskManyAsync(keys)).GetValueOrThrow()!);
        SharedAnswer<string>[] shared =
            await Task.WhenAll(keys.Select(key => lookup.AskAsync(key).AsTask()));
        Assert.Equal(alone, shared.Select(static answer => answer.GetValueOrThrow()));
        if (collation == Folding) Assert.Equal(["1", "1", "1", "1"], alone[..4]);
        await UntilAsync(pool, static s => s is { Used: 0, Pending: 0 });
    }

    private async Task<SharedLookup<string, string>> MakeAsync(PooledDataSource pool, string table, string collation)
    {
        await using MySqlConnection server = await Fixture.ObserveAsync();
        await ExecuteAsync(
            server,
            $"CREATE TABLE {table} (name VARCHAR(50) CHARACTER SET utf8mb4 COLLATE {collation} PRIMARY KEY, "
            + "v VARCHAR(10)) ENGINE=InnoDB");
        await ExecuteAsync(
            server, $"INSERT INTO {table} VALUES ('ann', '1'), ('Bob', '2'), ('Straße', '3'), ('Émile', '4')");
        return new SharedLookup<string, string>("names", pool, async (connection, keys, token) =>
        {
            await using DbCommand command = connection.CreateCommand();
            string[] parameters = [.. keys.Select(static (_, i) => $"@k{i}")];
            command.CommandText = $"SELECT name, v FROM {table} WHERE name IN ({string.Join(", ", parameters)})";
            for (int i = 0; i < keys.Count; i++) command.Parameters.Add(new MySqlParameter(parameters[i], keys[i]));

            var rows = new Dictionary<string, string>();
            await using DbDataReader reader = await command.ExecuteReaderAsync(token);
            while (await reader.ReadAsync(token)) rows[reader.GetString(0)] = reader.GetString(1);
            return rows;
        });
    }
}
