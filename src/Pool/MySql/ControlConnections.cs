using System.Data.Common;

using Microsoft.Extensions.Logging;

using MySqlConnector;

using UPool.Core;

namespace UPool.MySql;

/// <summary>
/// The control connections of a process, two at most: one for membership and grain storage, one that ends statements
/// and asks the server whether sessions are gone. They are separate from the pools, so that a saturated pool cannot
/// starve the cluster, and from each other, so that a kill never waits behind a storage write. A process has one such
/// object, which its pools share and which outlives them.
/// </summary>
public sealed partial class ControlConnections : IAsyncDisposable
{
    /// <summary>The maximum number of sessions that the control connections of a process have on the server.</summary>
    public const int MaxConnections = 2;

    private readonly PooledDataSource _storage;
    private readonly MySqlConnectionStringBuilder _settings;
    private readonly TimeProvider _clock;
    private readonly PoolOptions _options;
    private readonly ILoggerFactory? _loggers;
    private int _isProbing;

    /// <summary>Creates the control connections; opens no session yet.</summary>
    /// <param name="connectionString">The connection string of the control account: the account of the pools, or one
    /// with PROCESS and CONNECTION ADMIN.</param>
    /// <param name="loggers">The loggers; null to log nothing.</param>
    /// <param name="clock">The clock; null for the system clock.</param>
    /// <param name="incarnation">
    /// With a budget, the name of this incarnation of the process: 1 to 128 letters, digits and <c>.:@-_</c>. Every
    /// session of the control connections, and of the pools made with them, then registers in <c>upool_session</c>, and
    /// those pools need a lease. Null: no budget.
    /// </param>
    /// <exception cref="ArgumentException">The connection string or the incarnation is invalid. The message holds no
    /// value of the connection string.</exception>
    public ControlConnections(
        string connectionString, ILoggerFactory? loggers = null, TimeProvider? clock = null,
        string? incarnation = null)
    {
        _clock = clock ?? TimeProvider.System;
        var options = new PoolOptions
        {
            Name = "control",
            MaxConnections = 1,

            // Membership and storage wait for the one connection instead of failing as a request would.
            RentTimeout = TimeSpan.FromSeconds(10),
            IdleTimeout = TimeSpan.FromHours(1),

            // Rents here are short, so the end of the process has nothing to wait for.
            DrainTimeout = TimeSpan.FromSeconds(1),
        };
        _options = options;
        _loggers = loggers;
        _settings = MySqlSettings.Derive(connectionString, options);
        Register = incarnation is null ? null : new SessionRegister(_settings.Database, incarnation);
        KillLane = new KillLane(_settings, _clock, loggers, Register);
        var connector = new MySqlServerConnector(_settings, KillLane, loggers)
        {
            Register = Register,
            IsControl = true,
            Options = options,
            KnowAccount = KnowAccount,
        };
        _storage = new PooledDataSource(options, connector, clock, loggers);
        KillLane.Storage = _storage;
        KillLane.MoveSuspected += OnMoveSuspected;
        KnowAccount(_settings.UserID);
    }

    /// <summary>This process's incarnation in the register of sessions; null without a budget.</summary>
    public string? Incarnation => Register?.Incarnation;

    /// <summary>The data source for membership and grain storage.</summary>
    public DbDataSource Storage => _storage;

    /// <summary>Whether the server answers the control connections and lets them end sessions.</summary>
    public PoolHealth Health => KillLane.Denial is { } denial ? new PoolHealth(false, denial) : _storage.Health;

    /// <summary>A connection of the driver without a connection string, for code that inspects its type.</summary>
    internal static DbConnection CreateDriverConnection() => MySqlConnectorFactory.Instance.CreateConnection();

    /// <summary>Whether a failure concerns the server and not the statement: the server is gone, has no room, or is
    /// read-only.</summary>
    internal static bool IsOfTheServer(Exception exception) => MySqlErrors.Classify(exception) is
        DriverFailure.Connection or DriverFailure.SessionLost or DriverFailure.WrongServer or DriverFailure.NoPermit;

    internal KillLane KillLane { get; }

    internal SessionRegister? Register { get; }

    /// <summary>
    /// Uses another connection string to the same server and database from now on, as
    /// <see cref="PooledDataSource.ChangeConnectionStringAsync"/> does. If pools and control connections use one
    /// account, change the control connections first: they confirm that a pool's former sessions are gone.
    /// </summary>
    /// <param name="connectionString">The connection string of the control account.</param>
    /// <param name="cancellationToken">Ends the wait, not the change.</param>
    /// <returns>Whether the server accepted it at the first attempt.</returns>
    /// <exception cref="ArgumentException">The connection string is invalid, or leads to another server or database;
    /// nothing has changed. The message holds no value of it.</exception>
    public async Task<bool> ChangeConnectionStringAsync(
        string connectionString, CancellationToken cancellationToken = default)
    {
        MySqlConnectionStringBuilder settings = MySqlSettings.Derive(connectionString, _options);
        MySqlSettings.ThrowIfElsewhere(settings, MySqlSettings.Describe(_settings));
        bool[] accepted = await Task.WhenAll(
            _storage.ChangeConnectionStringAsync(connectionString, cancellationToken),
            KillLane.ChangeAsync(new SessionSource(settings, _loggers, KillLane.SignIns)).WaitAsync(cancellationToken))
            .ConfigureAwait(false);
        return accepted.All(static one => one);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        KillLane.MoveSuspected -= OnMoveSuspected;

        // The storage's session goes first: the kill lane has to confirm that it is gone.
        await _storage.DisposeAsync().ConfigureAwait(false);
        await KillLane.DisposeAsync().ConfigureAwait(false);
    }

    private void OnMoveSuspected()
    {
        if (Interlocked.Exchange(ref _isProbing, 1) == 0) _ = ProbeAsync();
    }

    /// <summary>Replaces the storage's session by a new one, which finds out where the address leads.</summary>
    private async Task ProbeAsync()
    {
        try
        {
            _storage.Clear();
            (await _storage.RentAsync().ConfigureAwait(false)).Connection?.Dispose();
        }
        catch (Exception exception) when (exception is DbException or ObjectDisposedException)
        {
            // The lane raises MoveSuspected again while the suspicion lasts.
        }
        finally
        {
            Volatile.Write(ref _isProbing, 0);
        }
    }
}
