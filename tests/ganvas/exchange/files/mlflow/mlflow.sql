CREATE TABLE "experiments" (
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	artifact_location VARCHAR(256), 
	lifecycle_stage VARCHAR(32), 
	creation_time BIGINT, 
	last_update_time BIGINT, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT experiment_pk PRIMARY KEY (experiment_id), 
	CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	CONSTRAINT uq_experiments_workspace_name UNIQUE (workspace, name)
);
INSERT INTO "experiments" VALUES(0,'Default','/srv/gan/mlruns/0','active',1796086777476,1796086777476,'default');
INSERT INTO "experiments" VALUES(1,'gan','file:///gone/mlruns/1','active',1796086777481,1796086777481,'default');
CREATE TABLE "metrics" (
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT NOT NULL, 
	timestamp BIGINT NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	step BIGINT DEFAULT '0' NOT NULL, 
	is_nan BOOLEAN DEFAULT '0' NOT NULL, 
	CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid), 
	CHECK (is_nan IN (0, 1))
);
INSERT INTO "metrics" VALUES('loss/D',3.33333333333333314829e-01,1796086777514,'475bd682ec8a4adc9bd2c6d6b5903748',0,0);
INSERT INTO "metrics" VALUES('loss_G',1.0,1796086777514,'475bd682ec8a4adc9bd2c6d6b5903748',0,0);
INSERT INTO "metrics" VALUES('loss/D',7.6923076923076927347e-02,1796086777567,'475bd682ec8a4adc9bd2c6d6b5903748',10,0);
INSERT INTO "metrics" VALUES('loss_G',7.16531310573789270712e-01,1796086777567,'475bd682ec8a4adc9bd2c6d6b5903748',10,0);
INSERT INTO "metrics" VALUES('loss/D',4.34782608695652161845e-02,1796086777654,'475bd682ec8a4adc9bd2c6d6b5903748',20,0);
INSERT INTO "metrics" VALUES('loss_G',0.513417119032592,1796086777654,'475bd682ec8a4adc9bd2c6d6b5903748',20,0);
INSERT INTO "metrics" VALUES('loss/D',3.03030303030303038713e-02,1796086777667,'475bd682ec8a4adc9bd2c6d6b5903748',30,0);
INSERT INTO "metrics" VALUES('loss_G',3.67879441171442334024e-01,1796086777667,'475bd682ec8a4adc9bd2c6d6b5903748',30,0);
INSERT INTO "metrics" VALUES('loss/D',2.32558139534883717702e-02,1796086777678,'475bd682ec8a4adc9bd2c6d6b5903748',40,0);
INSERT INTO "metrics" VALUES('loss_G',2.63597138115726770113e-01,1796086777678,'475bd682ec8a4adc9bd2c6d6b5903748',40,0);
INSERT INTO "metrics" VALUES('loss/D',1.88679245283018860723e-02,1796086777685,'475bd682ec8a4adc9bd2c6d6b5903748',50,0);
INSERT INTO "metrics" VALUES('loss_G',1.88875602837561828994e-01,1796086777685,'475bd682ec8a4adc9bd2c6d6b5903748',50,0);
INSERT INTO "metrics" VALUES('loss/D',1.58730158730158721347e-02,1796086777703,'475bd682ec8a4adc9bd2c6d6b5903748',60,0);
INSERT INTO "metrics" VALUES('loss_G',1.35335283236612702317e-01,1796086777703,'475bd682ec8a4adc9bd2c6d6b5903748',60,0);
INSERT INTO "metrics" VALUES('loss/D',0.0136986301369863,1796086777732,'475bd682ec8a4adc9bd2c6d6b5903748',70,0);
INSERT INTO "metrics" VALUES('loss_G',9.69719678644050536719e-02,1796086777732,'475bd682ec8a4adc9bd2c6d6b5903748',70,0);
INSERT INTO "metrics" VALUES('loss/D',1.20481927710843379764e-02,1796086777759,'475bd682ec8a4adc9bd2c6d6b5903748',80,0);
INSERT INTO "metrics" VALUES('loss_G',6.94834512228015427348e-02,1796086777759,'475bd682ec8a4adc9bd2c6d6b5903748',80,0);
INSERT INTO "metrics" VALUES('loss/D',1.07526881720430116107e-02,1796086777785,'475bd682ec8a4adc9bd2c6d6b5903748',90,0);
INSERT INTO "metrics" VALUES('loss_G',4.97870683678639444624e-02,1796086777785,'475bd682ec8a4adc9bd2c6d6b5903748',90,0);
INSERT INTO "metrics" VALUES('not finite',0.0,1796086777799,'475bd682ec8a4adc9bd2c6d6b5903748',0,1);
INSERT INTO "metrics" VALUES('not finite',1.79769313486231562234e+308,1796086777805,'475bd682ec8a4adc9bd2c6d6b5903748',1,0);
INSERT INTO "metrics" VALUES('not finite',-1.79769313486231562234e+308,1796086777812,'475bd682ec8a4adc9bd2c6d6b5903748',2,0);
INSERT INTO "metrics" VALUES('a',1.0,1796086778729,'9f8d4220541945929450d5f3a550c574',0,0);
CREATE TABLE "params" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000) NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('lr','0.0002','475bd682ec8a4adc9bd2c6d6b5903748');
INSERT INTO "params" VALUES('loss','hinge','475bd682ec8a4adc9bd2c6d6b5903748');
INSERT INTO "params" VALUES('seed','7','475bd682ec8a4adc9bd2c6d6b5903748');
INSERT INTO "params" VALUES('augment','True','475bd682ec8a4adc9bd2c6d6b5903748');
CREATE TABLE "runs" (
	run_uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(250), 
	source_type VARCHAR(20), 
	source_name VARCHAR(500), 
	entry_point_name VARCHAR(50), 
	user_id VARCHAR(256), 
	status VARCHAR(9), 
	start_time BIGINT, 
	end_time BIGINT, 
	source_version VARCHAR(50), 
	lifecycle_stage VARCHAR(20), 
	artifact_uri VARCHAR(200), 
	experiment_id INTEGER, deleted_time BIGINT, 
	CONSTRAINT run_pk PRIMARY KEY (run_uuid), 
	CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED'))
);
INSERT INTO "runs" VALUES('475bd682ec8a4adc9bd2c6d6b5903748','dcgan-mnist','UNKNOWN','','','root','FINISHED',1796086777493,1796086777820,'','active','file:///gone/mlruns/1/475bd682ec8a4adc9bd2c6d6b5903748/artifacts',1,NULL);
INSERT INTO "runs" VALUES('9f8d4220541945929450d5f3a550c574','broken','UNKNOWN','','','root','FAILED',1796086778715,1796086778738,'','active','file:///gone/mlruns/1/9f8d4220541945929450d5f3a550c574/artifacts',1,NULL);
CREATE TABLE "tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('mlflow.user','root','475bd682ec8a4adc9bd2c6d6b5903748');
INSERT INTO "tags" VALUES('mlflow.source.name','make_mlflow.py','475bd682ec8a4adc9bd2c6d6b5903748');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','475bd682ec8a4adc9bd2c6d6b5903748');
INSERT INTO "tags" VALUES('team','a','475bd682ec8a4adc9bd2c6d6b5903748');
INSERT INTO "tags" VALUES('mlflow.note.content','A first try.','475bd682ec8a4adc9bd2c6d6b5903748');
INSERT INTO "tags" VALUES('mlflow.runName','dcgan-mnist','475bd682ec8a4adc9bd2c6d6b5903748');
INSERT INTO "tags" VALUES('mlflow.loggedImages','True','475bd682ec8a4adc9bd2c6d6b5903748');
INSERT INTO "tags" VALUES('mlflow.user','root','9f8d4220541945929450d5f3a550c574');
INSERT INTO "tags" VALUES('mlflow.source.name','make_mlflow.py','9f8d4220541945929450d5f3a550c574');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','9f8d4220541945929450d5f3a550c574');
INSERT INTO "tags" VALUES('mlflow.runName','broken','9f8d4220541945929450d5f3a550c574');