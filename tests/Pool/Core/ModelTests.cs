using CsCheck;

using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>
/// Random histories of a pool on the fake clock: rents, cancellations, faults, resizes, clears, leases and a drain in
/// turn, with a check of the invariants after each step.
/// </summary>
public sealed class ModelTests
{
    private const int Lives = 60;

    private static readonly Gen<List<Act>> Acts = Gen
        .Select(Gen.Enum<Kind>(), Gen.Int[0, 999], (kind, number) => new Act(kind, number)).List[20, 120];

    public enum Kind
    {
        Rent,
        RentWithDeadline,
        RentWithToken,
        RentNoReset,
        TryRent,
        CancelRent,
        Return,
        ReturnOldest,
        Statement,
        ReadSome,
        ReadAll,
        Transaction,
        CancelStatement,
        Unwrap,
        HoldStep,
        FailStep,
        AnswerStep,
        FinishOneHeld,
        FailOneHeld,
        Die,
        Heal,
        Resize,
        Clear,
        Change,
        AdvanceALittle,
        AdvanceALot,
        Breathe,
        Grant,
        TakeLease,
        StandStill,
        CutOff,
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Pool_RandomLives_KeepTheInvariantsAtEveryStep(bool needsLease)
    {
        uint seed = Seed.Next();
        for (uint life = 0; life < Lives * Seed.Factor; life++)
        {
            List<Act> acts = Acts.Generate(new PCG(life, seed), null, out _);
            try
            {
                await PoolHarness.RunAsync(pool => new Life(pool).RunAsync(acts), Configure, needsLease);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException(
                    $"{Seed.Variable}={seed}, with leases: {needsLease}, life {life}: "
                    + string.Join(' ', acts.Select(act => $"{act.Kind}/{act.Number}")),
                    exception);
            }
        }
    }

    private static void Configure(PoolOptions options)
    {
        options.MaxConnections = 3;
        options.MaxOpening = 2;
        options.MaxPending = 8;
        options.RentTimeout = TimeSpan.FromMilliseconds(200);
        options.OpenTimeout = options.RecoveryTimeout = TimeSpan.FromMilliseconds(100);
        options.ValidationInterval = options.MaxOpenRetryInterval = TimeSpan.FromMilliseconds(50);
        options.IdleTimeout = TimeSpan.FromSeconds(2);
        options.MaxLifetime = TimeSpan.FromSeconds(10);
    }

    public sealed record Act(Kind Kind, int Number);

    private sealed class Life(PoolHarness pool)
    {
        private static readonly Step[] Steps = Enum.GetValues<Step>();

        private readonly List<(Task<RentOutcome> Rent, int Arrival, CancellationTokenSource Leaves)> _pending = [];
        private readonly List<(PooledConnection Connection, CancellationTokenSource Leaves)> _held = [];
        private readonly Dictionary<PooledConnection, Task> _statements = [];
        private readonly List<(long RentId, int Arrival)> _served = [];
        private readonly List<FakeCall> _calls = [];
        private readonly Dictionary<PooledConnection, string> _texts = [];
        private int _arrivals;

        public async Task RunAsync(List<Act> acts)
        {
            pool.Server.Executing = (fake, text) =>
            {
                var owner = (PooledConnection?)pool.Server.Connections[fake.Id - 1].Owner;
                if (owner is null || text != TextOf(owner))
                    pool.Server.Violate($"a statement of {text} on connection {fake.Id} of another (INV-3)");
            };
            if (pool.Source.NeedsLease) pool.Grant(3, milliseconds: 800, grace: 200);
            foreach (Act act in acts)
            {
                await DoAsync(act);
                await CollectAsync();
                pool.Check(pool.Counts);
                if (pool.Source.NeedsLease) Assert.InRange(pool.Counts.Opening, 0, 1);
                Assert.Empty(pool.Server.Violations);
                Assert.InRange(pool.Counts.Pending, 0, pool.Options.MaxPending);
                Assert.True(pool.Counts.Pending <= _pending.Count, pool.Describe());
            }

            await EndAsync();
            pool.Server.Executing = null;
        }

        private async Task DoAsync(Act act)
        {
            int number = act.Number;
            switch (act.Kind)
            {
                case Kind.Rent: Rent(default, default); break;
                case Kind.RentWithDeadline: Rent(pool.In(number % 300), default); break;
                case Kind.RentWithToken: Rent(pool.In(number), new CancellationTokenSource()); break;
                case Kind.RentNoReset:
                    // Alternates between one result, whose end the driver sees with its last row, and several.
                    pool.Server.Results = number % 3;
                    Rent(default, default, new FixedSelect($"SELECT {_arrivals}"));
                    break;
                case Kind.TryRent:
                    if (pool.Pool.TryRent(out PhysicalConnection? connection, out long rentId))
                        Own(new RentOutcome(connection, rentId), _arrivals++);
                    break;
                case Kind.CancelRent when _pending.Count > 0:
                    await _pending[number % _pending.Count].Leaves.CancelAsync();
                    break;
                case Kind.Return when _held.Count > 0: Return(number % _held.Count); break;
                case Kind.ReturnOldest when _held.Count > 0: Return(0); break;
                case Kind.Statement when _held.Count > 0: Start(number, ExecuteAsync); break;
                case Kind.ReadSome when _held.Count > 0: Start(number, ReadAsync); break;
                case Kind.ReadAll when _held.Count > 0: Start(number, ReadAllAsync); break;
                case Kind.Transaction when _held.Count > 0: Start(number, TransactAsync); break;
                case Kind.CancelStatement when _held.Count > 0:
                    await _held[number % _held.Count].Leaves.CancelAsync();
                    break;
                case Kind.Unwrap when _held.Count > 0:
                    PooledConnection unwrapped = _held[number % _held.Count].Connection;
                    if (unwrapped.State == System.Data.ConnectionState.Open) unwrapped.Unwrap<FakeDbConnection>();
                    break;
                case Kind.HoldStep: pool.Server.Hold(Steps[number % Steps.Length]); break;
                case Kind.FailStep:
                    // After a failed close the fake counts the session forever; the real connector waits for its end.
                    Step failing = Steps[number % Steps.Length];
                    var kind = (DriverFailure)(1 + number / 20 % 4);
                    if (failing != Step.Close) pool.Server.Fail(failing, kind, times: 1 + number % 3);
                    break;
                case Kind.AnswerStep: pool.Server.Answer(Steps[number % Steps.Length]); break;
                case Kind.FinishOneHeld or Kind.FailOneHeld: FinishOne(act); break;
                case Kind.Die when pool.Server.Connections.Count > 0:
                    pool.Server.Connections[^(1 + number % Math.Min(3, pool.Server.Connections.Count))].Die();
                    break;
                case Kind.Heal: pool.Server.Heal(); break;
                case Kind.Resize: pool.SetPermits(number % 6); break;
                case Kind.Clear: pool.Source.Clear(); break;
                case Kind.Change: _ = pool.Source.ChangeConnectionStringAsync($"{number}"); break;
                case Kind.AdvanceALittle: await pool.AdvanceAsync(TimeSpan.FromMilliseconds(number % 60)); break;
                case Kind.AdvanceALot: await pool.AdvanceAsync(TimeSpan.FromMilliseconds(number)); break;
                case Kind.Breathe: await pool.AdvanceAsync(TimeSpan.Zero); break;
                case Kind.Grant or Kind.TakeLease or Kind.StandStill or Kind.CutOff when pool.Source.NeedsLease:
                    DoWithLease(act);
                    break;
            }
        }

        private void DoWithLease(Act act)
        {
            int number = act.Number;
            switch (act.Kind)
            {
                case Kind.TakeLease when number % 4 == 0: pool.Grant(null); break;
                case Kind.Grant or Kind.TakeLease: pool.Grant(number % 5, number, number % 300); break;
                case Kind.StandStill: pool.Jump(number); break;
                case Kind.CutOff: pool.Source.CutOff(); break;
            }
        }

        private void Rent(Deadline deadline, CancellationTokenSource? leaves, FixedSelect? select = null)
        {
            leaves ??= new CancellationTokenSource();
            _pending.Add((pool.Rent(deadline, token: leaves.Token, select: select), _arrivals++, leaves));
        }

        private void Own(RentOutcome outcome, int arrival)
        {
            var wrapper = new PooledConnection(pool.Pool, outcome, Deadline.None);
            var fake = (FakePhysicalConnection)outcome.Connection!;
            if (fake.Owner is PooledConnection { State: System.Data.ConnectionState.Open })
                pool.Server.Violate($"connection {fake.Fake.Id} has two owners (INV-3)");
            if (fake.Select is null ? fake.Fake.IsDirty : fake.Fake.IsSpoiled)
                pool.Server.Violate($"connection {fake.Fake.Id} was rented dirty (INV-5)");
            if (pool.Source.NeedsLease && fake.RentedAt != 0 && !pool.WasLeasedAt(fake.RentedAt))
                pool.Server.Violate($"connection {fake.Fake.Id} was rented without a lease (INV-2)");
            if (fake.Select is { } select) _texts.Add(wrapper, select.Text);
            fake.Owner = wrapper;
            _held.Add((wrapper, new CancellationTokenSource()));
            _served.Add((outcome.RentId, arrival));
        }

        private void Return(int index)
        {
            // As any ADO.NET connection, it has one caller at a time: never closed while its own statement runs.
            (PooledConnection connection, CancellationTokenSource leaves) = _held[index];
            if (_statements.ContainsKey(connection)) return;

            _held.RemoveAt(index);
            connection.Dispose();
            leaves.Dispose();
        }

        private void Start(int number, Func<PooledConnection, CancellationToken, Task> work)
        {
            (PooledConnection connection, CancellationTokenSource leaves) = _held[number % _held.Count];
            if (_statements.ContainsKey(connection)) return;

            connection.Deadline = number % 3 == 0 ? pool.In(number % 200) : Deadline.None;
            _statements.Add(connection, work(connection, leaves.Token));
        }

        private void FinishOne(Act act)
        {
            foreach (Step step in Steps)
            {
                while (pool.Server.TryTakeHeld(step, out FakeCall? call)) _calls.Add(call);
            }

            if (_calls.Count == 0) return;

            FakeCall one = _calls[act.Number % _calls.Count];
            _calls.Remove(one);
            bool fails = act.Kind == Kind.FailOneHeld && one.Step != Step.Close;
            var kind = (DriverFailure)(1 + act.Number / 10 % 4);
            pool.Server.Finish(one, fails ? new FakeDbException(kind, "failed late") : null);
        }

        /// <summary>Collects completed rents and checks those that failed.</summary>
        private async Task CollectAsync()
        {
            for (int i = 0; i < _pending.Count; i++)
            {
                (Task<RentOutcome> rent, int arrival, CancellationTokenSource leaves) = _pending[i];
                if (!rent.IsCompleted) continue;

                _pending.RemoveAt(i--);
                bool left = leaves.IsCancellationRequested;
                leaves.Dispose();
                if (rent.IsCanceled)
                {
                    Assert.True(left);
                    continue;
                }

                RentOutcome outcome = await rent;
                if (outcome.Connection is not null) Own(outcome, arrival);
                else Assert.True(outcome.Refusal!.Message.Length > 0);
            }

            foreach ((PooledConnection connection, Task statement) in
                _statements.Where(started => started.Value.IsCompleted).ToList())
            {
                _statements.Remove(connection);
                Exception? error = await Record.ExceptionAsync(() => statement);
                Assert.True(
                    error is null or System.Data.Common.DbException or OperationCanceledException
                        or InvalidOperationException,
                    error?.ToString());
                Assert.DoesNotContain("bug:", $"{error?.Message}", StringComparison.Ordinal);
            }
        }

        private async Task EndAsync()
        {
            pool.Server.Heal();
            if (pool.Source.NeedsLease) pool.Grant(3, TimeSpan.FromDays(1).TotalMilliseconds);
            if (pool.Pool.Permits == 0) pool.SetPermits(1);
            while (_held.Count > 0 || _pending.Count > 0 || _statements.Count > 0)
            {
                for (int i = _held.Count - 1; i >= 0; i--) Return(i);
                await pool.AdvanceAsync(TimeSpan.FromMilliseconds(5));
                await CollectAsync();
                pool.Check(pool.Counts);
            }

            // In order of arrival (INV-4): the pool numbers rents when it hands out the connection.
            Assert.Equal(_served.OrderBy(s => s.Arrival).Select(s => s.RentId), _served.Select(s => s.RentId).Order());
            Assert.Equal(0, pool.Counts.Pending);
        }

        private string TextOf(PooledConnection connection) =>
            _texts.GetValueOrDefault(connection) ?? $"{connection.GetHashCode()}";

        private async Task ExecuteAsync(PooledConnection connection, CancellationToken token)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = TextOf(connection);
            await command.ExecuteNonQueryAsync(token);
        }

        private async Task ReadAsync(PooledConnection connection, CancellationToken token)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = TextOf(connection);
            await using var reader = await command.ExecuteReaderAsync(token);
            await reader.ReadAsync(token);
        }

        private async Task ReadAllAsync(PooledConnection connection, CancellationToken token)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = TextOf(connection);
            await using var reader = await command.ExecuteReaderAsync(token);
            while (await reader.ReadAsync(token)) Assert.NotEqual(0, reader.GetInt32(0));
        }

        private async Task TransactAsync(PooledConnection connection, CancellationToken token)
        {
            await using var transaction = await connection.BeginTransactionAsync(token);
            await ExecuteAsync(connection, token);
            await transaction.CommitAsync(token);
        }
    }
}
