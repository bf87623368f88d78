using System.Globalization;
using System.Text.Json.Serialization;
using UPool.Grains;
using UPool.Management;

namespace UPool.Silo;

/// <summary>
/// Loads the pool of this silo, in Development only. <c>POST /upool/load?clients=32&amp;seconds=60&amp;hold=20</c>
/// starts 32 callers that rent a connection and use it for 20 ms each time, for a minute. With <c>work=stuck</c> half
/// of them read for many seconds, and half wait for the row of the first user. One load at a time: the next command
/// replaces it, and <c>clients=0</c> ends it.
/// </summary>
internal sealed class LoadGenerator(PooledDataSource pool, TimeProvider clock) : IAsyncDisposable
{
    private const string Path = "/upool/load";
    private const int MaxClients = 1000;
    private const int MaxSeconds = 3600;
    private const int MaxHold = 10_000;

    // Far more rows than a server counts within any caller's deadline: a statement that is not killed would go on.
    private const string Scan =
        "SELECT COUNT(*) FROM information_schema.COLLATIONS a, information_schema.COLLATIONS b, "
        + "information_schema.COLLATIONS c, information_schema.COLLATIONS d";

    private const string RowLock =
        $"SELECT id FROM {UserSchema.Table} WHERE id = (SELECT MIN(id) FROM {UserSchema.Table}) FOR UPDATE";

    // A refused caller tries again after this pause, as clients do.
    private static readonly TimeSpan RefusedPause = TimeSpan.FromMilliseconds(20);

    private readonly Lock _gate = new();

    // Guarded by _gate.
    private CancellationTokenSource? _stop;
    private Task _running = Task.CompletedTask;
    private int _clients;

    private long _served, _refused, _failed;

    public static void Map(WebApplication app)
    {
        app.MapPost(Path, static context => Of(context).StartAsync(context));
        app.MapGet(Path, static context => Of(context).ReplyAsync(context));
    }

    public async ValueTask DisposeAsync() => await ReplaceAsync(0, TimeSpan.Zero, []);

    private static LoadGenerator Of(HttpContext context) =>
        context.RequestServices.GetRequiredService<LoadGenerator>();

    private async Task StartAsync(HttpContext context)
    {
        if (!TryRead(context, "clients", 0, MaxClients, null, out int clients, out string? problem)
            || !TryRead(context, "seconds", 1, MaxSeconds, 60, out int seconds, out problem)
            || !TryRead(context, "hold", 0, MaxHold, 20, out int hold, out problem))
        {
            await EnvelopeResponse.WriteAsync(context, StatusCodes.Status400BadRequest, problem!);
            return;
        }

        string? work = context.Request.Query["work"];
        if (work is not (null or "sleep" or "stuck"))
        {
            await EnvelopeResponse.WriteAsync(
                context, StatusCodes.Status400BadRequest, "work must be sleep or stuck");
            return;
        }

        string sleep = string.Create(CultureInfo.InvariantCulture, $"DO SLEEP({hold / 1000.0:0.###})");
        await ReplaceAsync(clients, TimeSpan.FromSeconds(seconds), work == "stuck" ? [Scan, RowLock] : [sleep]);
        await ReplyAsync(context);
    }

    private Task ReplyAsync(HttpContext context)
    {
        int clients;
        lock (_gate) clients = _running.IsCompleted ? 0 : _clients;
        var report = new LoadReport(
            clients, Interlocked.Read(ref _served), Interlocked.Read(ref _refused), Interlocked.Read(ref _failed));
        return EnvelopeResponse.WriteAsync(context, StatusCodes.Status200OK,
            new Envelope<LoadReport>(1, "ok", report), LoadJson.Default.EnvelopeLoadReport);
    }

    private async Task ReplaceAsync(int clients, TimeSpan duration, string[] texts)
    {
        Task before;
        lock (_gate)
        {
            _stop?.Cancel();
            _stop?.Dispose();
            _stop = null;
            before = _running;
            _clients = clients;
            _running = Task.CompletedTask;
            if (clients > 0)
            {
                _stop = new CancellationTokenSource(duration, clock);
                CancellationToken token = _stop.Token;
                _running =
                    Task.WhenAll(Enumerable.Range(0, clients).Select(
                        client => Task.Run(() => RunAsync(texts[client % texts.Length], token))));
            }
        }

        await before;
    }

    private async Task RunAsync(string text, CancellationToken token)
    {
        while (!token.IsCancellationRequested)
        {
            try
            {
                RentResult rent = await pool.RentAsync(cancellationToken: token);
                if (!rent.IsRented)
                {
                    Interlocked.Increment(ref _refused);
                    await Task.Delay(RefusedPause, clock, token);
                    continue;
                }

                await using PooledConnection connection = rent.Connection;
                await using var command = connection.CreateCommand();
                command.CommandText = text;
                await command.ExecuteNonQueryAsync(token);
                Interlocked.Increment(ref _served);
            }
            catch (OperationCanceledException) when (token.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (pool.Classify(exception) != FailureKind.Other)
            {
                Interlocked.Increment(ref _failed);
            }
        }
    }

    private static bool TryRead(
        HttpContext context, string name, int min, int max, int? standard, out int value, out string? problem)
    {
        string? text = context.Request.Query[name];
        value = standard ?? 0;
        problem = null;
        if (text is null && standard is not null) return true;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= min
            && value <= max)
            return true;

        problem = $"{name} must be from {min} to {max}";
        return false;
    }
}

/// <summary>The present load, and the totals since the process started.</summary>
/// <param name="Clients">The callers of the present load.</param>
/// <param name="Served">Statements that were executed.</param>
/// <param name="Refused">Rents that were refused.</param>
/// <param name="Failed">Statements that failed.</param>
internal sealed record LoadReport(int Clients, long Served, long Refused, long Failed);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Envelope<LoadReport>))]
internal sealed partial class LoadJson : JsonSerializerContext;
