using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

using BenchmarkDotNet.Attributes;

using MySqlConnector;

using UPool.MySql;

namespace UPool.Bench.Pool;

/// <summary>Rent, <c>SELECT 1</c>, return, on a real server, compared with the driver's own pool with as many
/// connections.</summary>
[SuppressMessage("Design", "CA1001", Justification = "BenchmarkDotNet calls the cleanup.")]
public class RentOnMariaDb
{
    private const int Connections = 16;
    private const int Rents = 320;

    private static readonly FixedSelect Select = new("SELECT 1");

    private ControlConnections _control = null!;
    private PooledDataSource _source = null!;
    private MySqlDataSource _noReset = null!, _defaults = null!;

    /// <summary>The connection string of the server. Without one this class is not run.</summary>
    public static string ConnectionString { get; set; } = "";

    [Params(1, 32)]
    public int Workers { get; set; }

    [GlobalSetup]
    public async Task OpenAsync()
    {
        _control = new ControlConnections(ConnectionString);
        _source = await Sources.WarmAsync(
            MySqlPool.Create(ConnectionString, Sources.Options(Connections), _control), Connections);
        _noReset = Driver(resets: false);
        _defaults = Driver(resets: true);
    }

    [GlobalCleanup]
    public async Task CloseAsync()
    {
        await _noReset.DisposeAsync();
        await _defaults.DisposeAsync();
        await _source.DisposeAsync();
        await _control.DisposeAsync();
    }

    [Benchmark(Description = "MySqlConnector, reset off", OperationsPerInvoke = Rents)]
    public Task DriverWithoutResetAsync() => Run(() => OpenAndSelectAsync(_noReset));

    [Benchmark(Description = "a no-reset rent", OperationsPerInvoke = Rents)]
    public Task NoResetRentAsync() => Run(async () =>
    {
        RentResult rent = await _source.RentAsync(Select, Deadline.None, CancellationToken.None);
        await using PooledConnection connection = rent.GetConnectionOrThrow();
        await SelectAsync(connection);
    });

    [Benchmark(Description = "MySqlConnector, defaults", OperationsPerInvoke = Rents)]
    public Task DriverAsync() => Run(() => OpenAndSelectAsync(_defaults));

    [Benchmark(Description = "a rent", OperationsPerInvoke = Rents)]
    public Task RentAsync() => Run(() => OpenAndSelectAsync(_source));

    private static MySqlDataSource Driver(bool resets) => new(
        new MySqlConnectionStringBuilder(ConnectionString)
        {
            MaximumPoolSize = Connections,
            ConnectionReset = resets,
        }.ConnectionString);

    private static async Task OpenAndSelectAsync(DbDataSource source)
    {
        await using DbConnection connection = await source.OpenConnectionAsync();
        await SelectAsync(connection);
    }

    private static async Task SelectAsync(DbConnection connection)
    {
        await using DbCommand command = connection.CreateCommand();
        command.CommandText = Select.Text;
        await command.ExecuteScalarAsync();
    }

    private Task Run(Func<Task> rent) => Task.WhenAll(Enumerable.Range(0, Workers).Select(_ => Task.Run(async () =>
    {
        for (int i = 0; i < Rents / Workers; i++) await rent();
    })));
}
